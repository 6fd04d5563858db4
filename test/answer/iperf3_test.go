package answer

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

// iperf3 connects a socket on the wildcard address to each client that sends it a datagram: the kernel chooses its address.
func TestIperf3MeasuresDatagramsByEachUplink(t *testing.T) {
	b := newBox(t, box.Conditions{}, world.Options{})
	startIperf3(t, b, 5200)
	wrong, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if out, err := measure(wrong, b, b.Uplinks[1].Addr4, 5200); err == nil {
		t.Errorf("without help it works: the test shows nothing: %s", out)
	}
	// A server takes one client at a time, and is busy for a while after a client has ended: each measurement has its own.
	ports := map[netip.Addr]int{}
	for _, u := range b.Uplinks {
		for _, to := range u.Addrs() {
			ports[to] = 5201 + len(ports)
			startIperf3(t, b, ports[to])
		}
	}
	b.Apply()
	for to, port := range ports {
		ctx, cancel := context.WithTimeout(t.Context(), box.EventualTimeout)
		if out, err := measure(ctx, b, to, port); err != nil {
			t.Errorf("%s: %v: %s", to, err, out)
		}
		cancel()
	}
}

// measure runs the client once, and returns what it says.
func measure(ctx context.Context, b *box.Box, to netip.Addr, port int) (string, error) {
	cmd := b.Client.Command(ctx, "iperf3", "-c", to.String(), "-B", b.ClientAddr(to).String(), "-p", fmt.Sprint(port), "-u", "-b", "1M", "-n", "10K")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// startIperf3 starts a server on the gateway, and waits until it listens.
func startIperf3(t *testing.T, b *box.Box, port int) {
	t.Helper()
	cmd := b.Gateway.Command(t.Context(), "iperf3", "-s", "-p", fmt.Sprint(port))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start iperf3: %v: .ci/needs installs it", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("iperf3 said:\n%s", out.String())
		}
	})
	box.Eventually(t, box.EventualTimeout, "iperf3 listens", func() bool {
		return b.Gateway.Run("ss", "-Hltn", "sport", "=", fmt.Sprintf(":%d", port)) != ""
	})
}
