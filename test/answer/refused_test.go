package answer

import (
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"

	"golang.org/x/sys/unix"
)

// refused is how the one line begins that says why answer = "asked" has no effect.
const refused = ` of [udp] has no effect: `

func TestWhereTheProgramsAreRefusedEverythingElseWorks(t *testing.T) {
	for name, c := range map[string]struct {
		want  string // the reason
		spoil func(t *testing.T, b *box.Box)
	}{
		"without a BPF file system": {"no BPF file system is mounted", func(t *testing.T, _ *box.Box) {
			if err := unix.Unmount("/sys/fs/bpf", 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := unix.Mount("bpf", "/sys/fs/bpf", "bpf", 0, ""); err != nil {
					t.Error(err)
				}
			})
		}},
		"with a BPF file system that is read-only": {"read-only file system", func(t *testing.T, _ *box.Box) {
			remount := func(flags uintptr) {
				if err := unix.Mount("", "/sys/fs/bpf", "", unix.MS_REMOUNT|flags, "mode=700"); err != nil {
					t.Error(err)
				}
			}
			remount(unix.MS_RDONLY)
			t.Cleanup(func() { remount(0) })
		}},
		"without CAP_BPF": {"operation not permitted", func(t *testing.T, b *box.Box) {
			b.Program = filepath.Join(b.Dir, "without-bpf")
			script := "#!/bin/sh\nexec setpriv --bounding-set=-bpf,-sys_admin -- " + box.Binary + ` "$@"` + "\n"
			world.WriteProgram(t, b.Program, []byte(script), 0o755)
		}},
		"without the control group": {"-gone", func(t *testing.T, b *box.Box) {
			b.Settings[len(b.Settings)-1] = `cgroup = "/sys/fs/cgroup/-gone"`
			b.Configure(b.Uplinks...)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, box.Conditions{RPFilter: 1}, world.Options{})
			c.spoil(t, b)
			box.ServeAll(b.Gateway)
			s := b.Start()
			b.RecordEgress().WantRepliesFromAll(t, b.Client, datagrams)
			b.AwaitInSync()
			s.Stop()
			if n := strings.Count(s.Log.String(), refused); n != 1 || !strings.Contains(s.Log.String(), c.want) {
				t.Errorf("the service says %d times that %s%s", n, refused, c.want)
			}
			if r := b.Run("plan"); !strings.Contains(r.Stdout+r.Stderr, refused) {
				t.Errorf("plan does not say it: %s", r)
			}
		})
	}
}
