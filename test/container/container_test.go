//go:build container

package container

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

func TestMain(m *testing.M) { box.Main(m) }

// baseVariable names the archive of the root file system that the image is based on.
const baseVariable = "REPLYPATH_CONTAINER_BASE"

// run runs a program outside the simulated hosts, and returns its output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	var errout bytes.Buffer
	c.Stderr = &errout
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errout.String())
	}
	return strings.TrimSpace(string(out))
}

func copyTo(t *testing.T, to, from string, replace ...string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil && len(replace) > 0 {
		text = []byte(strings.NewReplacer(replace...).Replace(string(text)))
	}
	if err == nil {
		err = os.WriteFile(to, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// buildImage builds the image on the base, and returns the folder of its root file system.
func buildImage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	buildah := func(args ...string) string {
		t.Helper()
		return run(t, "buildah", append([]string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}, args...)...)
	}
	base := buildah("from", "scratch")
	buildah("add", "-q", base, os.Getenv(baseVariable), "/")
	buildah("commit", "-q", base, "localhost/base")
	source := filepath.Join(dir, "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	copyTo(t, filepath.Join(source, "Containerfile"), "../../etc/container/Containerfile")
	copyTo(t, filepath.Join(source, "replypath"), box.Binary)
	buildah("build", "--isolation", "chroot", "--build-arg", "BASE=localhost/base", "-t", "localhost/replypath", source)
	root := buildah("mount", buildah("from", "localhost/replypath"))
	t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", dir).Run() })
	return root
}

// capabilities is the set of CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, as /proc shows it.
const capabilities = "0000008000003000"

func TestImageNeedsThreeCapabilitiesAndTheHostsNetwork(t *testing.T) {
	w := box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{})
	b := box.New(t, w)
	box.ServeAll(b.Gateway)
	folder := filepath.Join(b.Dir, "etc")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	copyTo(t, filepath.Join(folder, "replypath.toml"), b.Config)
	copyTo(t, filepath.Join(b.Dir, "config.json"), "../../etc/container/config.json", `"path": "rootfs"`, `"path": "`+buildImage(t)+`"`, `"source": "/etc/replypath"`, `"source": "`+folder+`"`)
	runc := func(args ...string) *world.Command {
		return b.Gateway.Command(context.Background(), "runc", append([]string{"--root", filepath.Join(b.Dir, "runc")}, args...)...)
	}
	var log bytes.Buffer
	c := runc("run", "-b", b.Dir, "rp")
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = runc("kill", "rp", "KILL").Run()
		_ = c.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	box.Eventually(t, box.EventualTimeout, "the service in the container is well", func() bool {
		return runc("exec", "rp", "/usr/bin/replypath", "status", "--quiet").Run() == nil
	})
	status, err := runc("exec", "rp", "/bin/cat", "/proc/1/status").Output()
	if err != nil || strings.Count(string(status), capabilities) != 3 {
		t.Errorf("%v: %s", err, status)
	}
	b.RecordEgress().WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindUDP, world.KindPing})
}
