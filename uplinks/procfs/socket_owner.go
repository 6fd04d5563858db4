package procfs

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SocketOwner is a process that has a socket open.
type SocketOwner struct {
	PID  int
	Name string // comm
	FD   int
}

// SocketOwners returns the process that has each socket open, by the inode of the socket: of several the one with the lowest number,
// since a process that has just been forked has the sockets of its parent until it executes a program. complete is false when the
// permission to inspect some process is missing.
func SocketOwners() (owners map[uint32]SocketOwner, complete bool) {
	owners, complete = map[uint32]SocketOwner{}, true
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		files, err := os.ReadDir(filepath.Join(folder, "fd"))
		if os.IsPermission(err) {
			complete = false
		}
		for _, f := range files {
			target, err := os.Readlink(filepath.Join(folder, "fd", f.Name()))
			if os.IsPermission(err) {
				complete = false
			}
			inode, is := strings.CutPrefix(target, "socket:[")
			if err != nil || !is {
				continue
			}
			n, err := strconv.ParseUint(strings.TrimSuffix(inode, "]"), 10, 32)
			if err != nil {
				continue
			}
			h := SocketOwner{}
			h.PID, _ = strconv.Atoi(filepath.Base(folder))
			h.FD, _ = strconv.Atoi(f.Name())
			if other, owned := owners[uint32(n)]; owned && other.PID < h.PID {
				continue
			}
			name, _ := os.ReadFile(filepath.Join(folder, "comm"))
			h.Name = strings.TrimSpace(string(name))
			owners[uint32(n)] = h
		}
	}
	return owners, complete
}

// ReceivesLocalAddress reports whether the socket receives the local address of each datagram (IP_PKTINFO,
// IP_RECVORIGDSTADDR), so that its owner can reply from there. It duplicates the descriptor for a moment (pidfd_getfd(2)),
// and changes nothing.
func (o SocketOwner) ReceivesLocalAddress() (bool, error) {
	pidfd, err := unix.PidfdOpen(o.PID, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, o.FD, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	for _, sockopt := range []struct{ level, option int }{
		{unix.IPPROTO_IP, unix.IP_PKTINFO}, {unix.IPPROTO_IP, unix.IP_RECVORIGDSTADDR},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO}, {unix.IPPROTO_IPV6, unix.IPV6_RECVORIGDSTADDR},
	} {
		// A socket of the other family does not have the option.
		if on, err := unix.GetsockoptInt(fd, sockopt.level, sockopt.option); err == nil && on != 0 {
			return true, nil
		}
	}
	return false, nil
}
