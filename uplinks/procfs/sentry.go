package procfs

import (
	"io"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Sentry reads the same sysctls again and again. Their files stay open: to open one and close it takes five times as
// long as to read it. The zero Sentry reads none. It is for several goroutines at once.
type Sentry struct {
	mu    sync.Mutex
	posts []post
}

// post is a sysctl that is read.
type post struct {
	path string
	file int // none: it is not open
}

const (
	none = -1
	// most files are kept open. A host may have thousands of links, and a process some thousands of files.
	most = 512
)

// Keep has it read these sysctls, by their files below /proc/sys, and no others.
func (s *Sentry) Keep(paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.EqualFunc(s.posts, paths, func(p post, path string) bool { return p.path == path }) {
		return
	}
	s.leave()
	for _, path := range paths {
		s.posts = append(s.posts, post{path, none})
	}
}

// Tell writes the values in the order in which Keep was given them. A sysctl that is not there has none.
func (s *Sentry) Tell(to io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var buffer [32]byte
	for i := range s.posts {
		n := s.posts[i].read(buffer[:], i < most)
		to.Write(buffer[:n])
		to.Write([]byte{0})
	}
}

// Close closes the files.
func (s *Sentry) Close() { s.Keep(nil) }

func (s *Sentry) leave() {
	for i := range s.posts {
		s.posts[i].close()
	}
	s.posts = nil
}

// read gives how many bytes the value has. The file of a link that has gone stays open, but cannot be read: there may be
// another by its name.
func (p *post) read(buffer []byte, keep bool) int {
	if p.file != none {
		if n, err := unix.Pread(p.file, buffer, 0); err == nil {
			return n
		}
		p.close()
	}
	file, err := unix.Open(sysctls+"/"+p.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	p.file = file
	n, err := unix.Pread(file, buffer, 0)
	if err != nil || !keep {
		p.close()
	}
	return max(0, n)
}

func (p *post) close() {
	if p.file != none {
		unix.Close(p.file)
		p.file = none
	}
}
