package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/inspect"
	"replypath/uplinks/uplinkstest"
)

// TestRoutesOfAFullTableAreCountedNotKept adds the routes of a routing daemon, and compares a full with a partial observation.
func TestRoutesOfAFullTableAreCountedNotKept(t *testing.T) {
	const routes = 5000
	r := newKernelWorld(t, marks.NFT)
	var batch strings.Builder
	for i := range routes {
		fmt.Fprintf(&batch, "route add 198.19.%d.%d/32 via 198.18.0.77 protocol 186\nroute add 2001:db8:f:%x::/64 via 2001:db8:c::77 protocol 186\n", i/250, i%250, i)
	}
	file := filepath.Join(t.TempDir(), "routes")
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	r.gateway.Run("ip", "-batch", file)
	settings := uplinkstest.Settings()
	whole, part := r.observeBoth(t, "lan0")
	for what, f := range map[string]uplinks.Facts{"the whole host": whole, "its link alone": whole.Merge(part)} {
		kept := 0
		for _, route := range f.GatewayRoutes {
			if route.Link == "lan0" {
				kept++
			}
		}
		if kept+f.OmittedRoutes["lan0"] != 2*routes || kept > 2*routes*9/10 {
			t.Errorf("an observation of %s keeps %d routes and counts %d more, of %d", what, kept, f.OmittedRoutes["lan0"], 2*routes)
		}
		findings := fmt.Sprint(inspect.Findings(settings, f))
		if want := fmt.Sprintf("and %d more", 2*routes-3); !strings.Contains(findings, want) {
			t.Errorf("an observation of %s: the findings do not say %q: %s", what, want, findings)
		}
	}
	for _, f := range []string{"-4", "-6"} {
		r.gateway.Run("ip", f, "route", "flush", "protocol", "186")
	}
	if part, _, err := r.Observe(t.Context(), uplinks.Scope{Link: "lan0"}); err != nil || len(whole.Merge(part).OmittedRoutes) != 0 {
		t.Errorf("after the routes are deleted: %v are counted, %v", whole.Merge(part).OmittedRoutes, err)
	}
}
