package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"replypath/health"
)

// Source is asked for what is shown.
type Source interface {
	Status() health.Status
	Subscribe(buffer int) *health.Subscription // to the events: each is shown at once
}

// What a client may take. Whoever asks for more or is slower loses the connection.
const (
	headerTime   = 5 * time.Second // until a request's header is there; a TLS handshake has as long
	requestTime  = 10 * time.Second
	answerTime   = 10 * time.Second
	idleTime     = time.Minute
	farewellTime = time.Second // for answers that are under way when it ends
	headerSize   = 8 << 10
	connections  = 128
	streams      = 32 // of events, at once
	streamsEach  = 8  // of them for one address
	scrapes      = 4  // of metrics, at once
)

// Server is the endpoint.
type Server struct {
	log     *slog.Logger
	source  Source
	metrics *Metrics
	options chan health.Endpoint // the newest that were set and not yet taken
	retry   time.Duration
	serving func(*crowd) // is told of every listener
}

// New is an endpoint that shows what the source says. It does nothing until Serve.
func New(log *slog.Logger, o health.Endpoint, s Source) *Server {
	server := &Server{log: log, source: s, metrics: NewMetrics(s), options: make(chan health.Endpoint, 1), retry: 5 * time.Second, serving: func(*crowd) {}}
	server.options <- o
	return server
}

// Metrics are what the endpoint shows at /metrics; it wants to be told of outcomes.
func (s *Server) Metrics() *Metrics { return s.metrics }

// Set changes the options, also while it serves. Connections are closed when they differ. Only one goroutine may call
// it.
func (s *Server) Set(o health.Endpoint) {
	select {
	case <-s.options:
	default:
	}
	s.options <- o
}

// Serve answers until the context ends, whose error it gives. What keeps it from listening is logged, and tried again
// until it passes: a port that is taken is no reason for the service to end.
func (s *Server) Serve(ctx context.Context) error {
	var now health.Endpoint
	for served := context.CancelFunc(func() {}); ; {
		select {
		case <-ctx.Done():
			served()
			return ctx.Err()
		case o := <-s.options:
			if o == now {
				continue
			}
			now = o
			served()
			served = s.start(ctx, o)
		}
	}
}

// start serves these options in the background. The function that it gives ends that, and waits for the end.
func (s *Server) start(ctx context.Context, o health.Endpoint) context.CancelFunc {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if o.Listen.IsValid() {
			s.persist(ctx, o)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// persist serves, and begins anew after a failure. The same failure is logged once.
func (s *Server) persist(ctx context.Context, o health.Endpoint) {
	told := ""
	for ctx.Err() == nil {
		err := s.serve(ctx, o, func() { told = "" })
		if ctx.Err() != nil {
			return
		}
		if err.Error() != told {
			told = err.Error()
			s.log.Error("the endpoint does not answer; will retry", "listen", o.Listen, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.retry):
		}
	}
}

// serve answers until the context ends or the listener fails.
func (s *Server) serve(ctx context.Context, o health.Endpoint, begun func()) error {
	l, err := listen(ctx, o, s.log)
	if err != nil {
		return err
	}
	defer l.Close()
	begun()
	s.log.Info("the endpoint answers", "at", l.Addr(), "tls", o.CertFile != "", "token", o.TokenFile != "")
	if o.TokenFile != "" && o.CertFile == "" && !o.Listen.Addr().IsLoopback() {
		s.log.Warn("whoever listens on the wire can read the endpoint's token: give it a certificate", "listen", o.Listen)
	}
	crowd := newCrowd(l)
	server := s.server(ctx, o, crowd)
	s.serving(crowd)
	var outer net.Listener = crowd
	if o.CertFile != "" {
		pair := &certificate{cert: o.CertFile, key: o.KeyFile, log: s.log}
		outer = tls.NewListener(crowd, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get})
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(outer) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellTime)
		defer cancel()
		err = server.Shutdown(farewell)
	}
	return errors.Join(err, server.Close())
}

func (s *Server) server(ctx context.Context, o health.Endpoint, c *crowd) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // HTTP/2 would put any number of requests on one connection
	return &http.Server{
		Handler:           c.attend(guard(o, s.log, s.routes())),
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      answerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerSize,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withGuest,
		// What strangers do wrong is not worth a line in the log each.
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelDebug),
	}
}
