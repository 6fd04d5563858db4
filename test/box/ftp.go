package box

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// FTPPort is the control port of FTP (RFC 959).
const FTPPort = 21

// FetchAll fetches the file in every mode, and wants all that left on the way to have left by the uplink.
func (b *Box) FetchAll(t *testing.T, u *world.Uplink, server netip.AddrPort, want []byte, modes ...ftpMode) {
	t.Helper()
	p := b.RecordEgress()
	for _, mode := range modes {
		got, err := fetch(b.Client, server, "file", mode)
		if err != nil {
			t.Fatalf("%s to %s: %v", mode, server, err) // the others would take as long to fail
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s to %s: %d bytes came, not the %d of the file", mode, server, len(got), len(want))
		}
	}
	p.Settle()
	p.WantSymmetric(t, u, server.Addr(), 2*len(modes))
}

// ftpMode is the command of an FTP client that decides which side opens the data connection.
type ftpMode string

// The commands that open a data connection (RFC 959, RFC 2428).
const (
	Passive         ftpMode = "PASV"
	ExtendedPassive ftpMode = "EPSV"
	Active          ftpMode = "PORT"
	ExtendedActive  ftpMode = "EPRT"
)

// ftpPatience bounds a whole session.
const ftpPatience = time.Minute

// ftpSession is a client's control connection.
type ftpSession struct {
	host    *world.Host
	control net.Conn
	text    *textproto.Conn
	until   time.Time
}

// fetch gets one file from an FTP server, and leaves it in good order.
func fetch(from *world.Host, server netip.AddrPort, name string, mode ftpMode) ([]byte, error) {
	s := &ftpSession{host: from, until: time.Now().Add(ftpPatience)}
	var err error
	if s.control, err = s.dial(server); err != nil {
		return nil, err
	}
	defer s.control.Close()
	s.control.SetDeadline(s.until)
	s.text = textproto.NewConn(s.control)
	if _, _, err := s.text.ReadResponse(220); err != nil {
		return nil, err
	}
	if _, err := s.say(331, "USER anonymous"); err != nil && !strings.HasPrefix(err.Error(), "USER anonymous: 230") {
		return nil, err
	} else if err == nil {
		if _, err := s.say(230, "PASS guest"); err != nil {
			return nil, err
		}
	}
	if _, err := s.say(200, "TYPE I"); err != nil {
		return nil, err
	}
	data, err := s.retrieve(name, mode)
	if err != nil {
		return nil, err
	}
	_, err = s.say(221, "QUIT")
	return data, err
}

func (s *ftpSession) retrieve(name string, mode ftpMode) ([]byte, error) {
	open, err := s.prepare(mode)
	if err != nil {
		return nil, err
	}
	if err := s.text.PrintfLine("RETR %s", name); err != nil {
		return nil, err
	}
	c, err := open()
	if err != nil {
		return nil, fmt.Errorf("data connection: %w", err)
	}
	defer c.Close()
	c.SetDeadline(s.until)
	if _, _, err := s.text.ReadResponse(150); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(c)
	if err != nil {
		return nil, fmt.Errorf("data connection: %w", err)
	}
	_, _, err = s.text.ReadResponse(226)
	return data, err
}

// prepare negotiates the data connection, and returns the function that opens it once RETR is sent.
func (s *ftpSession) prepare(mode ftpMode) (open func() (net.Conn, error), err error) {
	if mode == Active || mode == ExtendedActive {
		return s.listen(mode)
	}
	server := s.control.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
	code := map[ftpMode]int{Passive: 227, ExtendedPassive: 229}[mode]
	output, err := s.say(code, string(mode))
	if err != nil {
		return nil, err
	}
	_, inner, _ := strings.Cut(output, "(")
	var to netip.AddrPort
	if mode == Passive {
		var a [4]byte
		var high, low uint16
		_, err = fmt.Sscanf(inner, "%d,%d,%d,%d,%d,%d", &a[0], &a[1], &a[2], &a[3], &high, &low)
		to = netip.AddrPortFrom(netip.AddrFrom4(a), high<<8|low)
		if err == nil && to.Addr() != server {
			err = fmt.Errorf("the server at %s names another address: %s", server, output)
		}
	} else {
		var port uint16
		_, err = fmt.Sscanf(inner, "|||%d|", &port)
		to = netip.AddrPortFrom(server, port)
	}
	if err != nil {
		return nil, err
	}
	return func() (net.Conn, error) { return s.dial(to) }, nil
}

// listen opens the listener that the server is to connect to.
func (s *ftpSession) listen(mode ftpMode) (open func() (net.Conn, error), err error) {
	me := s.control.LocalAddr().(*net.TCPAddr).AddrPort().Addr()
	var l *net.TCPListener
	s.host.Do(func() { l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(me, 0))) })
	if err != nil {
		return nil, err
	}
	l.SetDeadline(s.until)
	port := l.Addr().(*net.TCPAddr).Port
	command := fmt.Sprintf("EPRT |%d|%s|%d|", map[int]int{4: 1, 6: 2}[FamilyOf(me)], me, port)
	if mode == Active {
		command = fmt.Sprintf("PORT %s,%d,%d", strings.ReplaceAll(me.String(), ".", ","), port>>8, port&0xff)
	}
	if _, err := s.say(200, command); err != nil {
		l.Close()
		return nil, err
	}
	return func() (net.Conn, error) {
		defer l.Close()
		return l.Accept()
	}, nil
}

func (s *ftpSession) say(want int, command string) (string, error) {
	if err := s.text.PrintfLine("%s", command); err != nil {
		return "", err
	}
	_, output, err := s.text.ReadResponse(want)
	if err != nil {
		return "", fmt.Errorf("%s: %w", command, err)
	}
	return output, nil
}

func (s *ftpSession) dial(to netip.AddrPort) (c net.Conn, err error) {
	ctx, stop := context.WithDeadline(context.Background(), s.until)
	defer stop()
	var d net.Dialer
	d.SetMultipathTCP(false)
	s.host.Do(func() { c, err = d.DialContext(ctx, "tcp", to.String()) })
	return c, err
}
