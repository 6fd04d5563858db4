package endpoint

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"

	"replypath/health"
)

// listen opens the port. What is wrong with the certificate is told before anybody connects.
func listen(ctx context.Context, settings health.EndpointSettings, log *slog.Logger) (net.Listener, error) {
	if settings.CertFile != "" {
		if _, err := (&certificateLoader{cert: settings.CertFile, key: settings.KeyFile, log: log}).load(); err != nil {
			return nil, err
		}
	}
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", settings.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w%s", settings.Listen, err, hint(err, settings))
	}
	return l, nil
}

func hint(err error, settings health.EndpointSettings) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf(": another program has the port: see ss -ltnp sport = :%d, and end it or give the endpoint another port", settings.Listen.Port())
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return ": no link has the address (yet): give the endpoint one that the host has"
	case errors.Is(err, syscall.EACCES):
		return ": give the endpoint a port above 1023, or the service CAP_NET_BIND_SERVICE"
	}
	return ""
}
