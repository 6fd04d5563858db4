package resolve

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestStubIsReplacedByItsUpstreamServers(t *testing.T) {
	stub := writeFile(t, "stub", "# comment\nnameserver 127.0.0.53\noptions edns0\n")
	own := writeFile(t, "own", "nameserver 127.0.0.1\nnameserver 192.0.2.53\n")
	upstream := writeFile(t, "real", "nameserver 192.0.2.53\nnameserver\nnameserver nonsense\n  nameserver 2001:db8::53 # second\nnameserver fe80::1%eth0\n")
	for _, c := range []struct {
		configured, upstream, server string
		want                         []string
	}{
		{stub, upstream, "127.0.0.53:53", []string{"192.0.2.53:53", "[2001:db8::53]:53", "[fe80::1%eth0]:53", "192.0.2.53:53"}},
		{stub, upstream, "192.0.2.7:53", []string{"192.0.2.7:53"}},
		{stub, "/nonexistent", "127.0.0.53:53", []string{"127.0.0.53:53"}},
		{own, upstream, "127.0.0.1:53", []string{"127.0.0.1:53"}},
		{"/nonexistent", upstream, "127.0.0.1:53", []string{"127.0.0.1:53"}},
	} {
		s := newNameServers(c.configured, c.upstream)
		var got []string
		for range c.want {
			got = append(got, s.replaceStub(c.server))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.server, got, c.want)
		}
	}
}
