package box

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/world"
)

// VRRP is a router of a pair that shares addresses on one link by VRRP.
type VRRP struct {
	Router    *world.Host
	Link      string
	Priority  int
	UseVMAC   bool     // the addresses have the virtual hardware address
	Addresses []string // the first is of IPv4
}

// Start starts keepalived, and stops it at the end of the test.
func (v VRRP) Start(t *testing.T) *world.Command {
	t.Helper()
	vmac := ""
	if v.UseVMAC {
		vmac = "use_vmac vrrp.3\n    vmac_xmit_base\n"
	}
	dir := t.TempDir()
	text := fmt.Sprintf(`vrrp_instance CABLE {
    state BACKUP
    interface %s
    virtual_router_id 3
    priority %d
    version 3
    advert_int 0.2
    %s
    virtual_ipaddress {
        %s
    }
    virtual_ipaddress_excluded {
        %s
    }
}
`, v.Link, v.Priority, vmac, v.Addresses[0], strings.Join(v.Addresses[1:], "\n"))
	file, log := filepath.Join(dir, "keepalived.conf"), filepath.Join(dir, "log")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	keepalived := v.Router.Command(t.Context(), "keepalived", "-n", "-l", "-D", "-P", "-f", file, "-p", filepath.Join(dir, "pid"), "-r", filepath.Join(dir, "vrrp"))
	keepalived.Stdout, keepalived.Stderr = out, out
	if err := keepalived.Start(); err != nil {
		t.Fatalf("%v: .ci/needs installs it", err)
	}
	t.Cleanup(func() {
		out.Close()
		if text, _ := os.ReadFile(log); t.Failed() {
			t.Logf("keepalived of %s: %s", v.Router.Name, text)
		}
	})
	return keepalived
}

// Await waits until the router has the addresses.
func (v VRRP) Await(t *testing.T) {
	t.Helper()
	Eventually(t, EventualTimeout, v.Router.Name+" is in charge", func() bool { return v.addresses() == len(v.Addresses) })
}

// AwaitBackup waits until the router has none of the addresses: while two have them, both answer for them.
func (v VRRP) AwaitBackup(t *testing.T) {
	t.Helper()
	Eventually(t, EventualTimeout, v.Router.Name+" is not in charge", func() bool { return v.addresses() == 0 })
}

// addresses returns how many of the addresses the router has.
func (v VRRP) addresses() (n int) {
	all := v.Router.Run("ip", "-br", "addr")
	for _, a := range v.Addresses {
		if strings.Contains(all, a) {
			n++
		}
	}
	return n
}
