package docs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/house"
	"replypath/test/world"
)

// blockBeginning returns the block of a document that begins with the text.
func blockBeginning(t *testing.T, page, begin string) string {
	t.Helper()
	_, rest, found := strings.Cut(house.ReadDocument(t, page), "\n"+begin)
	if !found {
		t.Fatalf("%s has no block that begins with %q", page, begin)
	}
	text, _, _ := strings.Cut(rest, "```\n")
	return begin + text
}

// variableText matches what differs from run to run.
var variableText = regexp.MustCompile(`\d+ right|\d+ lost|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d|\d+ changes in \d+ rounds|<?\d+%|\b\d[0-9dhm.]*(m?s|m|d)\b`)

// withoutVariableText returns the text without measured values, and with single spaces.
func withoutVariableText(text string) string {
	return strings.Join(strings.Fields(variableText.ReplaceAllString(text, "N")), " ")
}

// The page shows the output after a conflicting rule was added. Counts and line breaks are not compared.
func TestProofPageShowsVerifyOutput(t *testing.T) {
	t.Parallel()
	text := house.ReadDocument(t, house.Kernel)
	b := box.New(t, world.TwoISPs(t))
	_, config := block(t, text, "config")
	b.Write(config)
	b.Apply()
	b.Gateway.Run("ip", "route", "add", "default", "via", "198.51.100.1", "dev", "eth0", "table", "77")
	b.Gateway.Run("ip", "rule", "add", "priority", "90", "fwmark", "0x200/0x200", "lookup", "77")
	_, shown, _ := strings.Cut(blockBeginning(t, house.Proof, "$ sudo replypath verify"), "\n")
	shown = strings.TrimSuffix(shown, "...\n") // the rest is omitted
	if got := b.Must(3, "verify"); !strings.HasPrefix(withoutVariableText(got.Stdout), withoutVariableText(shown)) {
		t.Errorf("the page differs:\n%s", got)
	}
}

// One uplink has stray replies in one family, and the other one leads nowhere.
func TestREADMEShowsStatusOutput(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Client.Run("ip", "route", "add", "blackhole", "203.0.113.53")
	b.Gateway.Run("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth1", "table", "51820")
	b.Gateway.Run("ip", "-6", "rule", "add", "priority", "1500", "lookup", "51820")
	b.Write(`
[uplinks.fibre]
id = 1
interface = "eth0"
gateway = ["198.51.100.1", "fe80::1"]
[uplinks.lte]
id = 2
interface = "eth1"
gateway = "192.0.2.1"
[uplinks.lte.probes.internet]
target = "icmp://203.0.113.53"
`)
	b.Start()
	shown := strings.TrimSpace(blockBeginning(t, house.README, "kernel    in sync"))
	last := strings.LastIndex(shown, "\n\n")
	table, event := withoutVariableText(shown[:last]), withoutVariableText(shown[last:])
	var got box.Result
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the program says %s", got)
		}
	})
	box.Eventually(t, box.EventualTimeout, "the output that the README shows", func() bool {
		got = b.Run("status")
		output := withoutVariableText(got.Stdout)
		return strings.HasPrefix(output, table) && strings.Contains(output, event)
	})
}

// The service runs with the endpoint of the page, but with its files in another directory.
func TestDocumentedEndpointIsProtected(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	b.Configure(b.Uplinks...)
	uplinks, err := os.ReadFile(b.Config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b.Write(strings.ReplaceAll(blockBeginning(t, house.Configuration, "[endpoint]"), "/etc/replypath", dir) + string(uplinks))
	signed := httptest.NewTLSServer(nil) // for its certificate
	signed.Close()
	key, err := x509.MarshalPKCS8PrivateKey(signed.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	token := strings.Repeat("0123", 16)
	for name, text := range map[string]string{
		"token":    token + "\n",
		"cert.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed.Certificate().Raw})),
		"key.pem":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := b.Must(0, "check"); strings.Contains(r.Stdout+r.Stderr, "endpoint") {
		t.Errorf("check warns of it: %s", r)
	}
	b.Start()
	at := b.Uplinks[1].Port4(9717).String()
	trusting := box.TransportFrom(b.Client)
	trusting.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com"}
	trusting.TLSClientConfig.RootCAs.AddCert(signed.Certificate())
	box.Eventually(t, box.EventualTimeout, "an answer to a request with the token", func() bool {
		code, _ := box.Get(t, trusting, "https://"+at+"/readyz", "Authorization", "Bearer "+token)
		return code == 200
	})
	if code, body := box.Get(t, trusting, "https://"+at+"/readyz"); code != 401 {
		t.Errorf("without the token: %d %s", code, body)
	}
	if code, body := box.GetFrom(t, b.Client, "http://"+at+"/readyz", "Authorization", "Bearer "+token); code != 400 {
		t.Errorf("without TLS: %d %s", code, body)
	}
}
