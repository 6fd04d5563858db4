# A newcomer's two commands: make demo, make test. Both install what they need where it is missing.
PREFIX      = /usr/local
FUZZTIME    = 30s
COUNT       = 6
TIME        = 10m
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Under sudo, root's PATH often lacks Go's usual place.
export PATH := $(PATH):/usr/local/go/bin:/usr/sbin:/sbin

.PHONY: all build needs demo test chaos check bench bench-quick bench-program bench-go bench-idle bench-asking fuzz install uninstall clean

all: build

build:
	CGO_ENABLED=0 go build -trimpath -o .build/replypath ./cmd/replypath

needs:
	@.ci/needs

demo: build
	@.ci/needs demo
	@CGO_ENABLED=0 go build -trimpath -o .build/demo ./test/demo
	@.build/demo -replypath .build/replypath

test: needs
	go test -race -shuffle=on -timeout 20m ./...

chaos: needs
	REPLYPATH_CHAOS=$(TIME) go test -race -count=1 -timeout 0 -v -run TestChaosEndsInOrder ./test

check:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not as gofmt writes it:" $$unformatted; exit 1; }
	go vet ./...
	go run $(STATICCHECK) -checks all ./...
	go mod tidy -diff

# Go's own benchmarks, as benchstat reads them; then what it costs against no rules, one rule, the blog recipe and
# Shorewall, in ratios.
bench: BENCH =
bench: bench-go bench-program

bench-quick: BENCH = -quick
bench-quick: bench-program

bench-program: build
	@.ci/needs bench
	@CGO_ENABLED=0 go build -trimpath -o .build/bench ./test/bench
	@.build/bench -replypath .build/replypath $(BENCH)

bench-go:
	go test -run '^$$' -bench . -benchmem -count $(COUNT) ./uplinks ./cmd/internal/config

# What the service costs when nothing happens, with 31 uplinks, over a minute.
bench-idle: needs
	REPLYPATH_IDLE=1m go test -count=1 -v -run '^$$' -bench ServiceAtRest -benchtime 1x ./test

# What 64 probes cost that ask five times per second, when all are answered and when none is.
bench-asking: needs
	REPLYPATH_ASK=1m go test -count=1 -v -run '^$$' -bench Asking -benchtime 1x ./test

fuzz:
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  for name in $$(sed -nE 's/^func (Fuzz[[:alnum:]_]*).*/\1/p' "$$file"); do \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit 1; \
	  done; done

install: build
	install -D -m 755 .build/replypath $(DESTDIR)$(PREFIX)/bin/replypath
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/replypath etc/replypath.toml etc/CHANGELOG.md etc/LICENSE
	install -D -m 644 -t $(DESTDIR)/etc/iproute2/rt_protos.d etc/rt_protos.d/replypath.conf
	install -D -m 644 -t $(DESTDIR)/etc/systemd/system etc/replypath.service
	sed -i 's|/usr/local|$(PREFIX)|' $(DESTDIR)/etc/systemd/system/replypath.service

uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/bin/replypath $(DESTDIR)$(PREFIX)/share/doc/replypath $(DESTDIR)/etc/iproute2/rt_protos.d/replypath.conf \
	  $(DESTDIR)/etc/systemd/system/replypath.service

clean:
	rm -rf .build
