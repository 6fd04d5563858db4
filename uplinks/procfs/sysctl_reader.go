package procfs

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// SysctlReader reads the same sysctls repeatedly. It keeps their files open: opening and closing one takes five times as
// long as reading it. The zero SysctlReader reads none. Safe for concurrent use.
type SysctlReader struct {
	mu    sync.Mutex
	files []sysctlFile
}

// sysctlFile is a sysctl with its open file.
type sysctlFile struct {
	path string
	fd   int // file descriptor, or notOpen
}

const (
	notOpen = -1
	// maxOpenFiles is the number of files that stay open. A host may have thousands of links, and a process some thousands
	// of files.
	maxOpenFiles = 512
)

// SetPaths replaces the sysctls that are read, given by their paths below /proc/sys.
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

// AppendValues appends the values to b in the order of the paths, each followed by a zero byte, and returns the result. The value
// of a missing sysctl is empty.
func (r *SysctlReader) AppendValues(b []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	var buffer [32]byte
	for i := range r.files {
		n := r.files[i].read(buffer[:], i < maxOpenFiles)
		b = append(b, buffer[:n]...)
		b = append(b, 0)
	}
	return b
}

// Close closes the files.
func (r *SysctlReader) Close() { r.SetPaths(nil) }

// closeAll closes the files and forgets the paths.
func (r *SysctlReader) closeAll() {
	for i := range r.files {
		r.files[i].close()
	}
	r.files = nil
}

// read reads the value and returns its length in bytes. The open file of a link that is deleted can no longer be read:
// another link may have its name.
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
