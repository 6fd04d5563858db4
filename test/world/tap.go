package world

import (
	"math/bits"

	"golang.org/x/sys/unix"
)

const snapLength = 256 // enough for every header we decode

// markerFilter lets pass the fence's frames: "ldh [12]; jeq markerType; ret".
var markerFilter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: markerType, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: snapLength},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// headerFilter lets everything pass, cut short: "ret snapLength".
var headerFilter = []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: snapLength}}

// tap opens a packet socket that hears everything on a link that the filter lets pass, and nothing from before.
func (l *Link) tap(filter []unix.SockFilter) (*socket, error) {
	s, err := l.Host.socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		return nil, err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	everything := &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(unix.ETH_P_ALL), Ifindex: l.Index}
	err = s.control(func(fd int) error {
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
			return err
		}
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer) != nil {
			// Without the right to force it the system's limit holds; losses are noticed either way.
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, tapBuffer)
		}
		return unix.Bind(fd, everything)
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

const tapBuffer = 16 << 20

// lost returns the number of frames the tap had no room for, since the last call.
func (s *socket) lost() (lost int) {
	s.control(func(fd int) error {
		stats, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err == nil {
			lost = int(stats.Drops)
		}
		return err
	})
	return lost
}
