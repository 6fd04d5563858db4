package procfs

import (
	"slices"
	"sync"
)

// SysctlReader reads the same sysctls repeatedly. It keeps their files open: opening and closing one takes five times as
// long as reading it. The zero SysctlReader reads none. Safe for concurrent use.
type SysctlReader struct {
	mu    sync.Mutex
	files []sysctlFile
	next  int // the first file that AppendNext reads
}

// sysctlFile is the file of a sysctl.
type sysctlFile struct {
	openFile
	known bool   // it was read since the paths were set
	value []byte // the last time
}

// maxOpenFiles is the number of files that stay open. A host may have thousands of links, and a process some thousands
// of files.
const maxOpenFiles = 512

// SetPaths replaces the sysctls that are read, given by their paths below /proc/sys.
func (r *SysctlReader) SetPaths(paths []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.EqualFunc(r.files, paths, func(f sysctlFile, path string) bool { return f.path == sysctlDir+"/"+path }) {
		return
	}
	r.closeAll()
	for _, path := range paths {
		r.files = append(r.files, sysctlFile{openFile: openFile{sysctlDir + "/" + path, notOpen}})
	}
}

// AppendValues appends the values to b in the order of the paths, each followed by a zero byte, and returns the result. The value
// of a missing sysctl is empty.
func (r *SysctlReader) AppendValues(b []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.appendValues(b, len(r.files))
}

// turns is how many calls of AppendNext read all files, at most.
const turns = 8

// AppendNext appends the values as AppendValues does, but reads only the next files, in turns, at least so many; the others have the values
// of the last reading. No change is seen later than with the eighth call.
func (r *SysctlReader) AppendNext(b []byte, atLeast int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.appendValues(b, min(max(atLeast, (len(r.files)+turns-1)/turns), len(r.files)))
}

// usualLength is the length of the value of most sysctls, a digit, with the line feed and the zero byte.
const usualLength = 3

// appendValues appends all values after it has read the next n, and those that were not read yet.
func (r *SysctlReader) appendValues(b []byte, n int) []byte {
	var buffer [32]byte
	b = slices.Grow(b, len(r.files)*usualLength)
	for i := range r.files {
		f := &r.files[i]
		if turn := (i - r.next + len(r.files)) % len(r.files); turn < n || !f.known {
			f.value = append(f.value[:0], buffer[:f.read(buffer[:], i < maxOpenFiles)]...)
			f.known = true
		}
		b = append(b, f.value...)
		b = append(b, 0)
	}
	if len(r.files) > 0 {
		r.next = (r.next + n) % len(r.files)
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
	r.files, r.next = nil, 0
}
