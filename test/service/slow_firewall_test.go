package service

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// slowAnswer is longer than an answer takes on a busy machine. An answer that waits for the firewall never comes.
const slowAnswer = 20 * time.Second

// The commands of the firewall hang until the test releases them: at the start, and during a round.
func TestEndpointAnswersWhileTheFirewallHangs(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Backends[0])
	ts, held := box.NewWrappers(t), filepath.Join(t.TempDir(), "held")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"iptables", "iptables-nft", "iptables-nft-save", "iptables-nft-restore"} {
		ts.Replace(name, fmt.Sprintf("while [ -e %s ]; do %s 0.05; done; exec \"$real\" \"$@\"", held, sleep))
	}
	b.UseWrappers(ts)
	hold := func() {
		if err := os.WriteFile(held, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	release := func() { _ = os.Remove(held) }
	defer release()
	answer := func(path string) (code int, body string) {
		began := time.Now()
		code, body = box.GetFrom(t, b.Gateway, endpointURL+path)
		if took := time.Since(began); took > slowAnswer {
			t.Errorf("%s answers after %s", path, took)
		}
		return code, body
	}
	hold()
	s := b.Launch()
	box.Eventually(t, box.EventualTimeout, "the endpoint answers", func() bool { code, _ := answer("/healthz"); return code != 0 })
	if code, body := answer("/healthz"); code != 503 || !strings.Contains(body, "is starting") {
		t.Errorf("while the start hangs: %d %s", code, body)
	}
	if code, body := answer("/status"); code != 200 || !strings.Contains(body, `"last_round": "0001`) {
		t.Errorf("while the start hangs: %d %s", code, body)
	}
	release()
	s.AwaitNotify("READY=1")
	hold()
	b.Gateway.Run(b.IptablesName(4), "-w", "-t", "mangle", "-F")
	for range 20 {
		for _, path := range []string{"/healthz", "/readyz", "/status", "/metrics"} {
			if code, body := answer(path); code != 200 && path != "/healthz" || code == 0 {
				t.Errorf("while a round hangs: %s: %d %s", path, code, body)
			}
		}
	}
	release()
	box.Eventually(t, box.EventualTimeout, "the service is healthy", func() bool { code, _ := answer("/healthz"); return code == 200 })
	s.Stop()
}
