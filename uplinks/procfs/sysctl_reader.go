package procfs

import (
	"slices"
	"sync"
)

// SysctlReader reads the same sysctls repeatedly. It keeps their files open: opening and closing one takes five times as
// long as reading it. The zero SysctlReader reads none. Safe for concurrent use.
type SysctlReader struct {
	mu    sync.Mutex
	files []openFile
}

// maxOpenFiles is the number of files that stay open. A host may have thousands of links, and a process some thousands
// of files.
const maxOpenFiles = 512

// SetPaths replaces the sysctls that are read, given by their paths below /proc/sys.
func (r *SysctlReader) SetPaths(paths []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.EqualFunc(r.files, paths, func(f openFile, path string) bool { return f.path == sysctlDir+"/"+path }) {
		return
	}
	r.closeAll()
	for _, path := range paths {
		r.files = append(r.files, openFile{sysctlDir + "/" + path, notOpen})
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
