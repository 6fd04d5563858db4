package hook

import (
	"bytes"
	"fmt"
)

// limitedBuffer keeps the first bytes that are written to it, and counts the rest.
type limitedBuffer struct {
	limit     int
	kept      bytes.Buffer
	discarded int
}

// Write never fails: a program with much output must not get EPIPE.
func (h *limitedBuffer) Write(b []byte) (int, error) {
	n := min(len(b), h.limit-h.kept.Len())
	h.kept.Write(b[:n])
	h.discarded += len(b) - n
	return len(b), nil
}

func (h *limitedBuffer) String() string {
	text := string(bytes.ToValidUTF8(bytes.TrimSpace(h.kept.Bytes()), []byte("\uFFFD")))
	if h.discarded > 0 {
		text += fmt.Sprintf(" ... and %d bytes more", h.discarded)
	}
	return text
}
