package service

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"replypath/health"
	"replypath/test/box"
	"replypath/test/world"
)

// The service of the gateway is its own peer here, so that a change of the file alone makes both differ.
func TestCheckNamesEveryDifferenceOfThePeer(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), "[peer]", `url = "`+endpointURL+`"`)
	b.Start()
	b.AwaitUp()
	box.Eventually(t, box.EventualTimeout, "the peer agrees", func() bool {
		s := b.ServiceStatus()
		return s.Peer != nil && !s.Peer.At.IsZero() && len(s.Peer.Differences) == 0 && s.Peer.Fingerprint == s.Fingerprint.Value
	})
	if r := b.Must(0, "check", "--peer", endpointURL); !strings.Contains(r.Stdout, "peer "+endpointURL+": agrees") {
		t.Errorf("%s", r)
	}
	var own health.Fingerprint
	if err := json.Unmarshal([]byte(b.Must(0, "fingerprint", "--json").Stdout), &own); err != nil || own.Value != b.ServiceStatus().Fingerprint.Value {
		t.Errorf("fingerprint %+v, %v; the service has %+v", own, err, b.ServiceStatus().Fingerprint)
	}
	if _, body := box.GetFrom(t, b.Gateway, endpointURL+"/metrics"); !strings.Contains(body, `replypath_fingerprint_info{fingerprint="`+own.Value+`"} 1`) || !strings.Contains(body, `replypath_uplink_id{uplink="isp1"} 2`) {
		t.Errorf("metrics:\n%s", body)
	}
	text, err := os.ReadFile(b.Config)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(strings.NewReplacer("isp0", "isp1", "isp1", "isp0").Replace(string(text)))
	r := b.Must(3, "check", "--peer", endpointURL)
	for _, want := range []string{"id of uplink isp0: 2 here, 1 on the peer", "id of uplink isp1: 1 here, 2 on the peer", health.PeerRemedy} {
		if !strings.Contains(r.Stderr+r.Stdout, want) {
			t.Errorf("%s\nlacks %q", r, want)
		}
	}
	var report struct {
		Peer struct{ Differences []string }
	}
	if err := json.Unmarshal([]byte(b.Must(3, "check", "--peer", endpointURL, "--json").Stdout), &report); err != nil || len(report.Peer.Differences) != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	b.Must(1, "check", "--peer", "http://127.0.0.1:1")
	b.Must(2, "check", "--peer", "127.0.0.1:9717")
}
