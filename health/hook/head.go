package hook

import (
	"bytes"
	"fmt"
)

// head keeps the beginning of what is written, and counts the rest.
type head struct {
	most int
	kept bytes.Buffer
	rest int
}

// Write never fails: a program must not break because it says much.
func (h *head) Write(b []byte) (int, error) {
	n := min(len(b), h.most-h.kept.Len())
	h.kept.Write(b[:n])
	h.rest += len(b) - n
	return len(b), nil
}

func (h *head) String() string {
	text := string(bytes.ToValidUTF8(bytes.TrimSpace(h.kept.Bytes()), []byte("\uFFFD")))
	if h.rest > 0 {
		text += fmt.Sprintf(" ... and %d bytes more", h.rest)
	}
	return text
}
