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

// listen listens at the configured address. It fails early if the certificate cannot be loaded.
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

// hint returns the remedy of a listen error, to be appended to it.
func hint(err error, settings health.EndpointSettings) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf(": another program uses the port (see ss -ltnp sport = :%d): stop it, or set another port in [endpoint]", settings.Listen.Port())
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return ": no link has the address: assign it, or set another one in [endpoint]"
	case errors.Is(err, syscall.EACCES):
		return ": set a port above 1023 in [endpoint], or give the service CAP_NET_BIND_SERVICE"
	}
	return ""
}
