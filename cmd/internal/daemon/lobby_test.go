package daemon

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"replypath/health"
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
