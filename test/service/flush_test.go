package service

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"replypath/marks"
	"replypath/marks/netfilter"
	"replypath/test/box"
	"replypath/test/world"
)

const (
	// flushesVariable has the number of flushes. With 100 they take ten seconds; then each repair is to take flushRepair at
	// most, which only a quiet machine gives.
	flushesVariable = "REPLYPATH_FLUSHES"
	fewFlushes      = 16
	flushInterval   = 100 * time.Millisecond
	flushRepair     = 30 * time.Millisecond
	// sendInterval is the time between two requests of one of the four sockets: they send 1,500 in a second together.
	sendInterval = time.Second / 375
)

// Another program flushes nftables again and again, far more often than a fight about a rule is carried on: each flush is
// repaired at once, and no reply strays but between a flush and its repair.
func TestEachFlushIsRepairedAtOnce(t *testing.T) {
	t.Parallel()
	number, _ := strconv.Atoi(os.Getenv(flushesVariable))
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Nftables, `proof = { every = "off" }`)
	b.LAN.ServeUDP(box.ServedPort, world.Pktinfo)
	b.Delegate(b.Uplinks[1], netip.PrefixFrom(b.LAN4, 24).Masked())
	b.Delegate(b.Uplinks[1], netip.PrefixFrom(b.LAN6, 64).Masked())
	s := b.Start()
	b.AwaitInSync()
	strays := b.Uplinks[0].Refused.Record(box.Stray)
	replies := sendSteadily(t, b)
	changes := watchTransactions(t, b)
	var took box.Durations
	for range max(number, fewFlushes) {
		began := time.Now()
		b.Gateway.Run("nft", "flush", "ruleset")
		took = append(took, changes.awaitRepair(t))
		b.Settle()
		strayed, heard := len(strays.Packets()), replies.Load()
		box.Eventually(t, box.EventualTimeout, "replies arrive again", func() bool { return replies.Load() >= heard+20 })
		b.Settle()
		if n := len(strays.Packets()) - strayed; n > 0 {
			t.Errorf("%d replies strayed after the repair", n)
		}
		time.Sleep(flushInterval - time.Since(began))
	}
	t.Logf("repairs: %s; %d replies strayed before them, %d arrived", took, len(strays.Packets()), replies.Load())
	// With pauses as in a fight about a rule, every second repair would come after more than that.
	if p75 := took.Percentile(75); p75 > repairBound {
		t.Errorf("three of four repairs took up to %s", p75)
	}
	if p99 := took.Percentile(99); number > 0 && p99 > flushRepair {
		t.Errorf("99 of 100 repairs took up to %s", p99)
	}
	box.Eventually(t, box.EventualTimeout, "the fight is named", func() bool {
		return strings.Contains(s.Log.String(), "undoes this repair again and again") && strings.Contains(s.Log.String(), `suspect="nft (process`)
	})
}

// sendSteadily sends requests of the client to the host in the LAN by two sockets of each family, until the test ends, and counts
// the replies.
func sendSteadily(t *testing.T, b *box.Box) *atomic.Int64 {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	var replies atomic.Int64
	for i := range 4 {
		to := []netip.Addr{b.LAN4, b.LAN6}[i%2]
		socket := b.Connected(b.Client, netip.AddrPortFrom(b.ClientAddr(to), 0), netip.AddrPortFrom(to, box.ServedPort))
		go func() {
			for buffer := make([]byte, 64); ; {
				_, err := socket.Read(buffer)
				switch {
				case err == nil:
					replies.Add(1)
				case errors.Is(err, net.ErrClosed):
					return
				}
			}
		}()
		go func() {
			tick := time.NewTicker(sendInterval)
			defer tick.Stop()
			for ctx.Err() == nil {
				socket.Write([]byte("question")) // an ICMP error about an earlier one is an answer too
				<-tick.C
			}
		}()
	}
	box.Eventually(t, box.EventualTimeout, "replies arrive", func() bool { return replies.Load() > 100 })
	return &replies
}

// transactions are those of nftables on a gateway, with the time at which each was reported.
type transactions chan transaction

type transaction struct {
	marks.Process
	at time.Time
}

// watchTransactions reports the transactions of nftables from now on.
func watchTransactions(t *testing.T, b *box.Box) transactions {
	t.Helper()
	all := make(transactions, 1<<16)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.Gateway.Do(func() {
			if err := netfilter.Watch(ctx, func(p marks.Process) { all <- transaction{p, time.Now()} }); ctx.Err() == nil {
				t.Errorf("watch nftables: %v", err)
			}
		})
	}()
	<-all // the subscription
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return all
}

// awaitRepair waits for a transaction of nft(8), and for those of the service, one for each family, that follow. It returns the
// time between the first and the last.
func (all transactions) awaitRepair(t *testing.T) time.Duration {
	t.Helper()
	var flushed time.Time
	for repaired, late := 0, time.After(box.EventualTimeout); repaired < 2; {
		select {
		case change := <-all:
			switch {
			case change.Name == "nft":
				flushed, repaired = change.at, 0
			case flushed.IsZero():
			default:
				if repaired++; repaired == 2 {
					return change.at.Sub(flushed)
				}
			}
		case <-late:
			t.Fatal("a flush is not repaired")
		}
	}
	return 0
}
