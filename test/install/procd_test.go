package install

import (
	"os"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// rcCommon stands for OpenWrt's rc.common, which runs a script's functions, and for procd: it logs the calls to procd.
const rcCommon = `
script=$1 action=${2:-help}
for name in procd_open_instance procd_set_param procd_close_instance procd_add_reload_trigger; do
	eval "$name() { echo $name \"\$@\" >>/told; }"
done
start_service() { echo "the script has no start_service"; exit 1; }
. "$script"
[ "$USE_PROCD" = 1 ] || { echo "not for procd"; exit 1; }
case $action in
start | restart) start_service ;;
reload) reload_service ;;
*) echo "unknown: $action"; exit 1 ;;
esac
`

// openWrt is a host on which a script for procd is installed, with a procd that only takes notes.
type openWrt struct {
	*builder
	*world.Internet
}

func newOpenWrt(t *testing.T) *openWrt {
	t.Helper()
	o := &openWrt{newBuilder(t), world.TwoISPs(t)}
	o.make("install", "PREFIX=/usr")
	o.Must("install", "-m", "755", "/usr/share/doc/replypath/replypath.procd", "/etc/init.d/replypath")
	o.Write("/etc/rc.common", rcCommon)
	o.Bind("/sys", "/sys")
	return o
}

// run types a command on the gateway.
func (o *openWrt) run(args ...string) box.Result {
	o.t.Helper()
	b := box.Box{Internet: o.Internet, T: o.t}
	return b.RunCommand(o.Gateway.Command(o.t.Context(), "chroot", append([]string{o.Root}, args...)...))
}

// procdCalls returns the calls to procd since the last time.
func (o *openWrt) procdCalls() []string {
	text, _ := os.ReadFile(o.Root + "/told")
	os.Remove(o.Root + "/told")
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func TestProcdScript(t *testing.T) {
	t.Parallel()
	o := newOpenWrt(t)
	script := func(status int, want string, action string) {
		t.Helper()
		if r := o.run("/etc/init.d/replypath", action); r.Status != status || !strings.Contains(r.String(), want) {
			t.Errorf("%s: %swant exit %d, and %q", action, r, status, want)
		}
	}
	nothing := func() {
		t.Helper()
		if calls := o.procdCalls(); calls[0] != "" {
			t.Errorf("procd was called with %q", calls)
		}
	}
	script(0, "replypath init --write, then: /etc/init.d/replypath restart", "start")
	nothing()
	o.Write("/etc/replypath/uplinks.d/a.toml", "nonsense = 1\n")
	script(1, "nonsense", "start")
	nothing()

	o.Write("/etc/replypath/uplinks.d/a.toml", "id = 1\ninterface = \"eth0\"\ngateway = [\"198.51.100.1\", \"fe80::1\"]\n")
	o.Write("/etc/replypath/uplinks.d/b.toml", "id = 2\ninterface = \"eth1\"\ngateway = [\"192.0.2.1\", \"fe80::1\"]\n")
	script(0, "", "start")
	want := []string{"procd_open_instance", "procd_set_param command /usr/bin/replypath run", "procd_set_param respawn 10 1 0",
		"procd_set_param stderr 1", "procd_close_instance"}
	calls := o.procdCalls()
	if strings.Join(calls, "\n") != strings.Join(want, "\n") {
		t.Fatalf("procd was called with %q, want %q", calls, want)
	}
	script(1, "does not run", "reload")

	box.ServeAll(o.Gateway)
	run := o.Gateway.Command(t.Context(), "chroot", append([]string{o.Root}, strings.Fields(calls[1])[2:]...)...)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	box.Eventually(t, box.EventualTimeout, "the service runs", func() bool { return o.run("/usr/bin/replypath", "status").Status == 0 })
	b := box.Box{Internet: o.Internet, T: t}
	b.RecordEgress().WantRepliesFromAll(t, o.Client, []world.Kind{world.KindTCP, world.KindPing})
	o.Write("/etc/replypath/replypath.toml", "priority = 5000\n")
	script(0, "", "reload")
	if rules := o.Gateway.Run("ip", "rule"); !strings.Contains(rules, "5003:") || strings.Contains(rules, "2003:") {
		t.Errorf("after the reload:\n%s", rules)
	}
	nothing()

	o.Write("/etc/replypath/replypath.toml", "nonsense = 1\n")
	script(0, "", "start")
	if calls := o.procdCalls(); len(calls) != len(want) {
		t.Errorf("with mistakes, and a saved configuration: procd was called with %q", calls)
	}
}

// OpenWrt's /var is empty after a boot.
func TestProcdScriptKeepsTheSavedConfiguration(t *testing.T) {
	t.Parallel()
	o := newOpenWrt(t)
	o.Must("sh", "-ec", "mv /var /var.away; ln -s tmp /var")
	o.Write("/etc/replypath/uplinks.d/a.toml", "id = 1\ninterface = \"eth0\"\ngateway = [\"198.51.100.1\", \"fe80::1\"]\n")
	start := func() {
		t.Helper()
		if r := o.run("/etc/init.d/replypath", "start"); r.Status != 0 {
			t.Fatal(r)
		}
	}
	start()
	if r := o.run("/usr/bin/replypath", "apply"); r.Status != 0 || strings.Contains(r.Stderr, "warning") {
		t.Fatal(r)
	}
	o.Must("rm", "-r", "/tmp/lib")
	o.Write("/etc/replypath/uplinks.d/a.toml", "nonsense = 1\n")
	start()
}
