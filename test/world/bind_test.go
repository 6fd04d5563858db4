package world_test

import (
	"net"
	"os/exec"
	"sync"
	"testing"

	"replypath/test/world"
)

func TestClosedPortsAreBoundWhileProcessesAreForked(t *testing.T) {
	t.Parallel()
	h := world.New(t).Host("h")
	done := make(chan struct{})
	var forks sync.WaitGroup
	defer forks.Wait()
	defer close(done)
	for range 4 {
		forks.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := exec.CommandContext(t.Context(), "true").Run(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range 3000 {
		var socket *net.UDPConn
		err := h.Bind(func() (err error) {
			socket, err = net.ListenUDP("udp", &net.UDPAddr{Port: 2000})
			return err
		})
		if err != nil {
			t.Fatalf("bind the port for the %dth time: %v", n+1, err)
		}
		socket.Close()
	}
}
