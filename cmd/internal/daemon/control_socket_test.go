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

// startControlSocket is a control socket that answers every request.
func startControlSocket(t *testing.T) string {
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
			return Response{Status: &health.Status{SyncStatus: health.SyncStatus{Rounds: len(r.Do)}}}
		})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return dir
}

func TestSilentCallersDoNotBlockOthers(t *testing.T) {
	dir := startControlSocket(t)
	for _, sent := range []string{"", "{", `{"do":`} {
		for range 70 {
			c, err := net.Dial("unix", filepath.Join(dir, SocketName))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = c.Write([]byte(sent)) // it may have been thrown out
		}
		began := time.Now()
		if _, err := Call(t.Context(), dir, Request{Do: DoStatus}); err != nil {
			t.Errorf("a caller after 70 who said %q: %v", sent, err)
		}
		if took := time.Since(began); took > requestTimeout/2 {
			t.Errorf("a caller after 70 who said %q waits for %s", sent, took)
		}
	}
}

func TestUnreadResponsesDoNotBlockOthers(t *testing.T) {
	dir := startControlSocket(t)
	for range 3 * maxCallers {
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
