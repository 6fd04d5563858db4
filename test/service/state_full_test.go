package service

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// mountState makes the service run where its state folder is a file system with these options, after a command on it.
func mountState(t *testing.T, b *box.Box, options, command string) {
	t.Helper()
	state := filepath.Join(b.Dir, "state")
	b.ServiceProgram = filepath.Join(b.Dir, "run")
	script := fmt.Sprintf("#!/bin/sh\nexec unshare -m sh -ec 'mkdir -p %[1]s; mount -t tmpfs -o %[2]s none %[1]s; %[3]s; exec \"$@\"' sh %[4]s \"$@\"\n", state, options, fmt.Sprintf(command, state), b.Program)
	world.WriteProgram(t, b.ServiceProgram, []byte(script), 0o700)
}

// The first start in a state folder without room gets ready, and says what is lost.
func TestFirstStartInAFullStateFolderGetsReady(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	box.ServeAll(b.Gateway)
	mountState(t, b, "size=64k,mode=700", "dd if=/dev/zero of=%s/fill bs=1k 2>/dev/null || true")
	s := b.Start()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindPing})
	if !strings.Contains(s.Log.String(), "cannot save the original values of what is changed: the service works on") {
		t.Errorf("the log:\n%s", s.Log.String())
	}
	s.Kill()
}

// A start in a state folder that is read-only ends at once, with the cause.
func TestStartInAReadOnlyStateFolderEndsAtOnce(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	mountState(t, b, "ro,mode=700", ": %s")
	s := b.Launch()
	select {
	case err := <-s.Ended:
		if err == nil || !strings.Contains(s.Log.String(), "read-only file system") {
			t.Errorf("%v; the log:\n%s", err, s.Log.String())
		}
	case <-time.After(box.EventualTimeout):
		t.Error("neither ready nor ended")
	}
}
