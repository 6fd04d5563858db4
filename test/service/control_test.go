package service

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

func TestReloadWorksBesideIdleControlConnections(t *testing.T) {
	t.Parallel()
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Start()
	for i := range 200 {
		c, err := net.Dial("unix", filepath.Join(b.Dir, "state", "control.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write([]byte([]string{"", `{"do":`, "\x00\xff garbage"}[i%3])) // it may have been thrown out
	}
	began := time.Now()
	b.Must(0, "reload")
	t.Logf("reload took %s", box.RoundDuration(time.Since(began)))
}

// controlClientVariable makes the test binary send a status request to this socket, and print the response.
const controlClientVariable = "REPLYPATH_CONTROL_CLIENT"

// runControlClientIfRequested implements a client that any user may run.
func runControlClientIfRequested() {
	path, requested := os.LookupEnv(controlClientVariable)
	if !requested {
		return
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(0)
	}
	cookie, _ := world.NetnsCookie()                              // without it the service refuses
	fmt.Fprintf(c, `{"do":"status","namespace":%d}`+"\n", cookie) // it may have hung up
	answer, _ := io.ReadAll(c)
	fmt.Printf("answered: %q\n", answer)
	os.Exit(0)
}

func TestControlSocketRefusesUnprivilegedUsers(t *testing.T) {
	t.Parallel()
	var first, outside, users int
	if text, err := os.ReadFile("/proc/self/uid_map"); err != nil {
		t.Fatal(err)
	} else if _, err := fmt.Sscan(string(text), &first, &outside, &users); err != nil {
		t.Fatal(err)
	}
	if users <= box.NobodyUID {
		t.Fatal("in this user namespace there is no user but root: run the tests as root")
	}
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
	b.Start()
	socket := filepath.Join(b.Dir, "state", "control.sock")
	call := func(uid uint32) string {
		t.Helper()
		cmd := b.Gateway.Command(t.Context(), "/proc/self/exe", "-test.run=^$")
		cmd.Env = append(os.Environ(), controlClientVariable+"="+socket)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid, NoSetGroups: true}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if output := call(0); !strings.Contains(output, "in_sync") {
		t.Errorf("root gets %q", output)
	}
	if output := call(box.NobodyUID); !strings.HasPrefix(output, "refused") {
		t.Errorf("an unprivileged user gets %q", output)
	}
	// Whatever becomes of the files' modes.
	var opened []string
	for path := socket; path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
		opened = append(opened, path)
		if path == filepath.Dir(b.Dir) {
			break
		}
	}
	if output := call(box.NobodyUID); output != "answered: \"\"\n" {
		t.Errorf("an unprivileged user gets %q", output)
	}
	// A configuration in a folder that every user can write to is refused.
	for _, path := range opened {
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	b.Must(0, "reload")
}
