package daemon

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"replypath/health"
	"replypath/uplinks"
)

// hall is a control socket that answers every request.
func hall(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hall") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- s.serve(ctx, func(_ context.Context, r Request) Response {
			return Response{Status: &health.Status{Sync: health.Sync{Rounds: len(r.Do)}}}
		})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return dir
}

func TestSilentCallersKeepNobodyOut(t *testing.T) {
	dir := hall(t)
	for _, said := range []string{"", "{", `{"do":`} {
		for range 70 {
			c, err := net.Dial("unix", filepath.Join(dir, SocketName))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = c.Write([]byte(said)) // it may have been thrown out
		}
		began := time.Now()
		if _, err := Call(t.Context(), dir, Request{Do: DoStatus}); err != nil {
			t.Errorf("a caller after 70 who said %q: %v", said, err)
		}
		if took := time.Since(began); took > askTime/2 {
			t.Errorf("a caller after 70 who said %q waits for %s", said, took)
		}
	}
}

func TestAnAnswerThatNobodyReadsHarmsNobody(t *testing.T) {
	dir := hall(t)
	for range 3 * callers {
		c, err := net.Dial("unix", filepath.Join(dir, SocketName))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(c).Encode(Request{Do: DoStatus}); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if _, err := Call(t.Context(), dir, Request{Do: DoStatus}); err != nil {
		t.Error(err)
	}
}

func TestALinkThatComesAndGoesIsNobodysRival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRestraint()
		with, without := uplinks.NewState(), uplinks.NewState()
		with.Rules[uplinks.Rule{Family: uplinks.IPv4, Priority: 2002}] = true
		with.Tunables[uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}] = "8200"
		found := uplinks.NewState()
		found.Tunables[uplinks.Tunable{Link: "eth1", Name: uplinks.LinkGroup}] = "0"
		for range 20 {
			r.Want(with, nil)
			act, wait, _ := r.Split(uplinks.Diff(with, found), time.Now())
			if len(act) != 2 || len(wait) != 0 {
				t.Fatalf("acts on %v, waits with %v", act, wait)
			}
			if fought := r.Done(act, time.Now()); len(fought) != 0 {
				t.Fatalf("somebody is suspected of %v", fought)
			}
			r.Want(without, nil)
			r.Done(uplinks.Diff(without, with), time.Now())
			time.Sleep(time.Second)
		}
	})
}
