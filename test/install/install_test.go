package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// installed is what make install puts into DESTDIR with PREFIX=/usr.
const installed = `644 0:0 /etc/iproute2/rt_protos.d/replypath.conf
755 0:0 /etc/iproute2/rt_tables.d
644 0:0 /etc/replypath/replypath.toml.sample
755 0:0 /etc/replypath/uplinks.d
755 0:0 /usr/bin/replypath
644 0:0 /usr/lib/systemd/networkd.conf.d/replypath.conf
644 0:0 /usr/lib/systemd/system/replypath.service
644 0:0 /usr/lib/tmpfiles.d/replypath.conf
644 0:0 /usr/share/bash-completion/completions/replypath
644 0:0 /usr/share/doc/replypath/CHANGELOG.md
644 0:0 /usr/share/doc/replypath/LICENSE
644 0:0 /usr/share/doc/replypath/README.md
644 0:0 /usr/share/doc/replypath/bench.svg
644 0:0 /usr/share/doc/replypath/doc/architecture.md
644 0:0 /usr/share/doc/replypath/doc/commands.md
644 0:0 /usr/share/doc/replypath/doc/configuration.md
644 0:0 /usr/share/doc/replypath/doc/doctor.md
644 0:0 /usr/share/doc/replypath/doc/fleet.md
644 0:0 /usr/share/doc/replypath/doc/kernel.md
644 0:0 /usr/share/doc/replypath/doc/pair.md
644 0:0 /usr/share/doc/replypath/doc/performance.md
644 0:0 /usr/share/doc/replypath/doc/proof.md
644 0:0 /usr/share/doc/replypath/grafana/replypath.json
644 0:0 /usr/share/doc/replypath/pair/conntrackd.conf
644 0:0 /usr/share/doc/replypath/pair/haproxy.cfg
644 0:0 /usr/share/doc/replypath/pair/keepalived.conf
644 0:0 /usr/share/doc/replypath/pair/nginx.conf
755 0:0 /usr/share/doc/replypath/pair/notify.sh
644 0:0 /usr/share/doc/replypath/pair/replypath.toml
644 0:0 /usr/share/doc/replypath/prometheus/replypath.rules.yml
644 0:0 /usr/share/doc/replypath/recipes.md
644 0:0 /usr/share/doc/replypath/replypath.openrc
644 0:0 /usr/share/doc/replypath/replypath.procd
644 0:0 /usr/share/doc/replypath/status.md
644 0:0 /usr/share/fish/vendor_completions.d/replypath.fish
644 0:0 /usr/share/man/man5/replypath.toml.5
644 0:0 /usr/share/man/man7/replypath-doctor.7
644 0:0 /usr/share/man/man7/replypath-kernel.7
644 0:0 /usr/share/man/man7/replypath-proof.7
644 0:0 /usr/share/man/man7/replypath-recipes.7
644 0:0 /usr/share/man/man7/replypath-status.7
644 0:0 /usr/share/man/man8/replypath.8
644 0:0 /usr/share/zsh/site-functions/_replypath`

// An image gets its files for any umask, and nothing else is written, also the second time, and by a path that is
// not from the root.
func TestInstallIntoAnImage(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	image := b.Root + "/srv/an image"
	relative, err := filepath.Rel(b.path, "/srv/an image")
	if err != nil {
		t.Fatal(err)
	}
	for _, destination := range []string{"/srv/an image", relative} {
		b.make("install", "DESTDIR="+destination, "PREFIX=/usr")
		if diff := cmp.Diff(strings.Split(installed, "\n"), strings.Split(b.listing(image), "\n")); diff != "" {
			t.Errorf("installed into %s (-want +got):\n%s", destination, diff)
		}
	}
	b.wantNothingElseWritten("/srv/an image/")
	// The program is all that it needs, and everything speaks of the place where it lies.
	if out, err := exec.Command("chroot", image, "/usr/bin/replypath", "version").CombinedOutput(); err != nil {
		t.Errorf("in the bare image: %v\n%s", err, out)
	}
	for _, file := range []string{"/usr/lib/systemd/system/replypath.service", "/usr/share/doc/replypath/replypath.openrc", "/usr/share/doc/replypath/replypath.procd"} {
		text, _ := os.ReadFile(image + file)
		if !strings.Contains(string(text), "/usr/bin/replypath") || strings.Contains(string(text), "/usr/local") {
			t.Errorf("%s does not speak of /usr/bin/replypath:\n%s", file, text)
		}
	}
	b.Must("systemctl", "--quiet", "--root=/srv/an image", "enable", "replypath")
	if to, err := os.Readlink(image + "/etc/systemd/system/multi-user.target.wants/replypath.service"); to != "/usr/lib/systemd/system/replypath.service" {
		t.Errorf("enabled: %q, %v", to, err)
	}
	if err := os.RemoveAll(image + "/etc/systemd"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.make("uninstall", "DESTDIR="+relative, "PREFIX=/usr")
		for line := range strings.Lines(b.listing(image)) {
			if line[0] != '7' || strings.Contains(line, "replypath") {
				t.Errorf("left in the image: %s", line)
			}
		}
	}
	b.wantNothingElseWritten("/srv/an image/")
}

// pressTab has bash complete a line, as its key does. A function stands for the package bash-completion.
const pressTab = `. /usr/local/share/bash-completion/completions/replypath
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=replypath words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
COMP_WORDS=(replypath sta) COMP_CWORD=1 COMP_LINE="replypath sta" COMP_POINT=13 COMP_TYPE=9 COMP_KEY=9
function=$(complete -p replypath)
function=${function#*-F }
${function%% *} replypath sta replypath 2>/dev/null
echo "${COMPREPLY[@]}"`

// On the host itself it goes to /usr/local, where everything is found, and all of it is taken away again, but not what
// the operator wrote.
func TestInstallOnTheHostAndUninstall(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	b.make("install")
	before := b.Written()
	for line := range strings.Lines(strings.ReplaceAll(installed, " /usr/", " /usr/local/")) {
		mode, path, _ := strings.Cut(strings.TrimSpace(line), " 0:0 ")
		if info, err := os.Stat(b.Root + path); err != nil || fmt.Sprintf("%o", info.Mode().Perm()) != mode {
			t.Errorf("%s: %v, %v; want the mode %s", path, info, err, mode)
		}
	}
	if output := b.Must("replypath", "version"); !strings.HasPrefix(output, "replypath ") {
		t.Errorf("the program says %q", output)
	}
	b.Must("systemctl", "--quiet", "enable", "replypath")
	b.Must("systemctl", "--quiet", "disable", "replypath")
	if output := b.Must("bash", "-c", pressTab); strings.TrimSpace(output) != "status" {
		t.Errorf("bash completes to %q", output)
	}

	own := map[string]string{"/etc/replypath/replypath.toml": "mask = 0xff00\n", "/etc/replypath/uplinks.d/a.toml": "id = 1\n"}
	for path, text := range own {
		b.Write(path, text)
	}
	b.make("install")
	b.make("uninstall")
	b.make("uninstall")
	for path, text := range own {
		if got, err := os.ReadFile(b.Root + path); string(got) != text {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for _, path := range before {
		if _, err := os.Stat(b.Root + path); err == nil && strings.Contains(path, "replypath") && !strings.HasPrefix(path, b.path) {
			t.Errorf("%s is left", path)
		}
	}
	for path := range own {
		if err := os.Remove(b.Root + path); err != nil {
			t.Fatal(err)
		}
	}
	b.make("uninstall")
	if _, err := os.Stat(b.Root + "/etc/replypath"); err == nil {
		t.Error("/etc/replypath is left, with nothing in it")
	}
	if !slices.ContainsFunc(before, func(path string) bool { return path == "/usr/local/bin/replypath" }) {
		t.Errorf("nothing was written: %v", before)
	}
}
