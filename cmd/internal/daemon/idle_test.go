package daemon

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"replypath/cmd/internal/host"
	"replypath/marks"
	"replypath/test/world"
	"replypath/uplinks"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	world.Enter()
	os.Exit(m.Run())
}

const idleRounds = 500 // in each backend

// logCommands puts wrappers of the iptables commands into PATH, which log each start, and returns the path of the log. The
// commands without a backend in their name are of the given one.
func logCommands(t *testing.T, backend marks.Backend) string {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "started")
	for _, base := range []string{"iptables", "ip6tables"} {
		for _, variant := range []string{"", "-nft", "-legacy"} {
			for _, rest := range []string{"", "-save", "-restore"} {
				real := base + cmp.Or(variant, "-"+string(backend)) + rest
				path, err := exec.LookPath(real)
				if err != nil {
					t.Fatal(err)
				}
				script := fmt.Sprintf("#!/bin/sh\necho %s \"$@\" >>%s\nexec %s \"$@\"\n", real, log, path)
				if err := os.WriteFile(filepath.Join(dir, base+variant+rest), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return log
}

func TestIdleRoundsWriteNothingAndStartNoProcess(t *testing.T) {
	for _, backend := range []marks.Backend{marks.NFT, marks.Legacy} {
		t.Run(string(backend), func(t *testing.T) {
			started := logCommands(t, backend)
			w := world.TwoISPs(t)
			var logged bytes.Buffer
			w.Gateway.Do(func() {
				h, err := host.Open(t.Context(), host.Options{StateDir: t.TempDir(), Backend: backend, TableBase: uplinks.DefaultTableBase})
				if err != nil {
					t.Error(err)
					return
				}
				defer h.Close()
				k := NewReconciler(h, slog.New(slog.NewTextHandler(&logged, nil)), settings(w, backend), &verdicts{queue: newRoundQueue()}, noListener{})
				for range 3 {
					k.Reconcile(t.Context(), "begin")
				}
				if r := k.Report(); !r.InSync || r.Err != nil {
					t.Errorf("not in sync: %+v", r)
					return
				}
				checkIdleRounds(t, k, h, started, &logged)
			})
		})
	}
}

// checkIdleRounds runs rounds without anything to do.
func checkIdleRounds(t *testing.T, k *Reconciler, h *host.Host, started string, logged *bytes.Buffer) {
	t.Helper()
	routing := subscribe(t, unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
		unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_IPV4_NETCONF)
	defer unix.Close(routing)
	firewall := subscribe(t, unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	defer unix.Close(firewall)
	before, processes := fingerprint(t, h), read(t, started)
	logged.Reset()
	for range idleRounds {
		k.Reconcile(t.Context(), "idle")
	}
	for _, fd := range []int{routing, firewall} {
		if n, _, err := unix.Recvfrom(fd, make([]byte, 1<<16), unix.MSG_DONTWAIT); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("the kernel reports a change: %d bytes, %v", n, err)
		}
	}
	if now := fingerprint(t, h); now != before {
		t.Error("sysctls or the legacy firewall changed")
	}
	if now := read(t, started); now != processes {
		t.Errorf("processes were started:\n%s", now[len(processes):])
	}
	if logged.Len() != 0 {
		t.Errorf("idle rounds log:\n%s", logged.String())
	}
	if r := k.Report(); !r.InSync || r.Rounds < idleRounds {
		t.Errorf("after the rounds: %+v", r)
	}
}

func fingerprint(t *testing.T, h *host.Host) uint64 {
	t.Helper()
	sum, err := h.Fingerprint()
	if err != nil {
		t.Error(err)
	}
	return sum
}

func settings(w *world.Internet, backend marks.Backend) uplinks.Settings {
	s := uplinks.DefaultSettings()
	s.Backend = backend
	for _, u := range w.Uplinks {
		s.Uplinks = append(s.Uplinks, uplinks.Uplink{
			Name: u.Link.Name, ID: marks.ID(u.Index + 1), Link: u.Link.Name, WhenDown: uplinks.Hold,
			Gateway4: uplinks.Gateway{Addr: u.Router4}, Gateway6: uplinks.Gateway{Addr: u.RouterLL},
		})
	}
	return s
}

// subscribe returns a socket that receives the events of the multicast groups.
func subscribe(t *testing.T, protocol int, groups ...int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Fatal(err)
	}
	address := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	for _, g := range groups {
		address.Groups |= 1 << (g - 1)
	}
	if err := unix.Bind(fd, address); err != nil {
		t.Fatal(err)
	}
	return fd
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}
