package netfilter

import "sync"

// bufferSize is more than the kernel sends in one datagram: 32 KiB in a dump, errors for all messages of a transaction otherwise.
const bufferSize = 1 << 17

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Buffer is memory to receive in what is of use until the next message only. It is used again after Release: a reading of the firewall that
// takes new memory each time spends as long on clearing and collecting it as on the rules. The zero Buffer has none yet.
type Buffer struct{ memory *[bufferSize]byte }

// Bytes returns the memory.
func (b *Buffer) Bytes() []byte {
	if b.memory == nil {
		b.memory = buffers.Get().(*[bufferSize]byte)
	}
	return b.memory[:]
}

// Release gives the memory back.
func (b *Buffer) Release() {
	if b.memory != nil {
		buffers.Put(b.memory)
		b.memory = nil
	}
}
