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
	"replypath/marks/nftables"
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
// repaired by one transaction, before anything is read, and no reply strays but between a flush and its repair.
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
	table := b.Gateway.Run("nft", "-s", "list", "ruleset")
	changes, bare := watchTransactions(t, b.Gateway), newBareRepair(t, b.Host("bare"), table)
	var took, least box.Durations
	atOnce := 0
	for range max(number, fewFlushes) {
		began := time.Now()
		b.Gateway.Run("nft", "flush", "ruleset")
		duration, transactions := changes.awaitRepair(t, func() bool { return len(b.Gateway.Run("nft", "-s", "list", "ruleset")) >= len(table) })
		took = append(took, duration)
		if transactions == 1 {
			atOnce++
		}
		b.Settle()
		strayed, heard := len(strays.Packets()), replies.Load()
		box.Eventually(t, box.EventualTimeout, "replies arrive again", func() bool { return replies.Load() >= heard+20 })
		b.Settle()
		if n := len(strays.Packets()) - strayed; n > 0 {
			t.Errorf("%d replies strayed after the repair", n)
		}
		least = append(least, bare.flush())
		time.Sleep(flushInterval - time.Since(began))
	}
	t.Logf("repairs: %s, 90 of 100 within %s, %d by one transaction; a program that does nothing else: %s, 90 of 100 within %s; %d replies strayed before the repairs, %d arrived",
		took, box.RoundDuration(took.Percentile(90)), atOnce, least, box.RoundDuration(least.Percentile(90)), len(strays.Packets()), replies.Load())
	// A round that reads the kernel takes one transaction for each family.
	if atOnce < len(took)*3/4 {
		t.Errorf("%d of %d flushes were repaired by one transaction", atOnce, len(took))
	}
	if number > 0 && took.Percentile(100) > flushRepair {
		t.Errorf("FAIL repairs took up to %s, at most %s", took.Percentile(100), flushRepair)
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
func watchTransactions(t *testing.T, on *world.Host) transactions {
	t.Helper()
	all := make(transactions, 1<<16)
	watch(t, on, func(p marks.Process) { all <- transaction{p, time.Now()} })
	<-all // the subscription
	return all
}

// watch calls handle for each transaction of nftables until the test ends.
func watch(t *testing.T, on *world.Host, handle func(marks.Process)) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go on.Do(func() {
		defer close(ended)
		if err := netfilter.Watch(ctx, handle); ctx.Err() == nil {
			t.Errorf("watch nftables: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

// awaitRepair waits for a transaction of nft(8), and for those of the service that follow, until the table is whole. It returns the
// time between the first and the last, and the number of those of the service.
func (all transactions) awaitRepair(t *testing.T, whole func() bool) (took time.Duration, number int) {
	t.Helper()
	var flushed time.Time
	for late := time.After(box.EventualTimeout); ; {
		select {
		case change := <-all:
			switch {
			case change.Name == "nft":
				flushed, number = change.at, 0
			case !flushed.IsZero():
				number++
				if whole() {
					return change.at.Sub(flushed), number
				}
			}
		case <-late:
			t.Fatal("a flush is not repaired")
		}
	}
}

// bareRepair is a host whose table is repaired by a program that has nothing else to do: what the kernel and the machine take.
type bareRepair struct {
	t        *testing.T
	host     *world.Host
	changes  transactions
	firewall *nftables.Firewall
}

// newBareRepair returns a host with a table as listed by nft(8).
func newBareRepair(t *testing.T, on *world.Host, listed string) *bareRepair {
	t.Helper()
	ipv4, ipv6 := nftables.New()
	on.Run("nft", listed)
	on.Do(func() {
		changes := map[bool]marks.Change{}
		for isIPv6, f := range map[bool]*nftables.Firewall{false: ipv4, true: ipv6} {
			rules, err := f.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			changes[isIPv6], _ = rules.Creation()
		}
		if err := ipv4.PrepareRestore(changes); err != nil {
			t.Fatal(err)
		}
	})
	watch(t, on, func(p marks.Process) {
		if p.LostTable {
			if restored, err := ipv4.Restore(); err != nil || !restored {
				t.Errorf("restored %t, %v", restored, err)
			}
		}
	})
	return &bareRepair{t, on, watchTransactions(t, on), ipv4}
}

// flush flushes nftables and returns how long the repair took.
func (r *bareRepair) flush() time.Duration {
	r.t.Helper()
	r.host.Run("nft", "flush", "ruleset")
	took, _ := r.changes.awaitRepair(r.t, func() bool { return true })
	return took
}
