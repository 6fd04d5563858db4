package daemon

import (
	"context"
	"time"

	"replypath/cmd/internal/host"
)

const (
	// frameBurst frames of a family are read at once, and frameRate a second after that: a flood fills the buffer of the socket, and
	// the kernel drops it.
	frameBurst = 128
	frameRate  = 100
	framePause = time.Second / frameRate
)

// read passes on the frames of a socket until it is closed.
func (s *routerSearch) read(ctx context.Context, link string, socket *host.FrameSocket) {
	bucket := tokenBucket{burst: frameBurst, rate: frameRate}
	for {
		frame, err := socket.Read()
		if err != nil {
			return
		}
		select {
		case s.frames <- linkFrame{link, frame}:
		case <-ctx.Done():
			return
		}
		for !bucket.take(time.Now()) {
			if sleep(ctx, framePause) != nil {
				return
			}
		}
	}
}
