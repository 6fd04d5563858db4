package procfs

import (
	"io"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// SysctlReader reads the same sysctls again and again. Their files stay open: to open one and close it takes five times as
// long as to read it. The zero SysctlReader reads none. It is for several goroutines at once.
type SysctlReader struct {
	mu    sync.Mutex
	files []sysctlFile
}

// sysctlFile is a sysctl that is read.
type sysctlFile struct {
	path string
	fd   int // none: it is not open
}

const (
	notOpen = -1
	// maxOpenFiles files are kept open. A host may have thousands of links, and a process some thousands of files.
	maxOpenFiles = 512
)

// SetPaths has it read these sysctls, by their files below /proc/sys, and no others.
func (r *SysctlReader) SetPaths(paths []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.EqualFunc(r.files, paths, func(p sysctlFile, path string) bool { return p.path == path }) {
		return
	}
	r.closeAll()
	for _, path := range paths {
		r.files = append(r.files, sysctlFile{path, notOpen})
	}
}

// WriteValues writes the values in the order in which SetPaths was given them. A sysctl that is not there has none.
func (r *SysctlReader) WriteValues(to io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var buffer [32]byte
	for i := range r.files {
		n := r.files[i].read(buffer[:], i < maxOpenFiles)
		to.Write(buffer[:n])
		to.Write([]byte{0})
	}
}

// Close closes the files.
func (r *SysctlReader) Close() { r.SetPaths(nil) }

func (r *SysctlReader) closeAll() {
	for i := range r.files {
		r.files[i].close()
	}
	r.files = nil
}

// read gives how many bytes the value has. The file of a link that has gone stays open, but cannot be read: there may be
// another by its name.
func (f *sysctlFile) read(buffer []byte, keep bool) int {
	if f.fd != notOpen {
		if n, err := unix.Pread(f.fd, buffer, 0); err == nil {
			return n
		}
		f.close()
	}
	file, err := unix.Open(sysctlDir+"/"+f.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	f.fd = file
	n, err := unix.Pread(file, buffer, 0)
	if err != nil || !keep {
		f.close()
	}
	return max(0, n)
}

func (f *sysctlFile) close() {
	if f.fd != notOpen {
		unix.Close(f.fd)
		f.fd = notOpen
	}
}
