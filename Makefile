# Start with make demo and make test. Both install what they need where it is missing.
PREFIX      = /usr/local
ZSH         = $(PREFIX)/share/zsh/site-functions
BINARY      = .build/replypath
TESTED      = .build/test/replypath
FUZZTIME    = 30s
COUNT       = 6
TIME        = 10m
GOLANGCI    = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
NFPM        = github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
PACKAGES    = .build/packages
BOOTED      = systemd,systemd-sysv,dbus,udev,kmod,iproute2,iptables,nftables,procps,ifupdown,ufw,dnsmasq-base,firewalld,openrc,wireguard-tools
ASLEEP      = firewalld.service
comma      := ,
DEBARCH     = $(shell go env GOARCH)
IMAGE      := /var/cache/replypath-boot/$(firstword $(shell echo $(BOOTED) $(ASLEEP) | cksum))
# The timestamp in packages.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || date -r etc/CHANGELOG.md +%s)
# Under sudo, root's PATH often lacks the usual directory of Go.
export PATH := $(PATH):/usr/local/go/bin:/usr/sbin:/sbin

.PHONY: all build needs demo test test-raced test-others cases matrix chaos check check-fast bench bench-quick bench-program bench-go bench-idle bench-asking bench-proof bench-nftables bench-udp fuzz install uninstall packages package test-boot test-modules modules test-container clean

all: build

build:
	CGO_ENABLED=0 go build -trimpath -o .build/replypath ./cmd/replypath

needs:
	@.ci/needs

demo: build
	@.ci/needs demo
	@CGO_ENABLED=0 go build -trimpath -o .build/demo ./test/demo
	@.build/demo -replypath .build/replypath

# The packages that take longest begin first, and more at a time than two CPUs, because tests also wait; not more still, because all
# namespaces of a machine share one neighbour table (net.ipv6.neigh.default.gc_thresh3), and 24 worlds have filled 850 of its 1024
# entries. The two parts run side by side, each to its end. MAKEFLAGS is not for the make that tests run. What the program is built of
# is compiled once, because its flags are those of the tests; go vet is part of make check.
RACED_FIRST = ./cmd/internal/host ./cmd/internal/daemon
FIRST       = ./cmd/internal/host/killed $(addprefix ./test/,reply routers outbound service apply intercept doctor pair verify docs matrix answer demo install)
TEST        = MAKEFLAGS= go test -trimpath -vet=off -ldflags=-w -parallel 4 -shuffle=on -timeout 20m
test: needs
	CGO_ENABLED=0 go build -trimpath -o $(TESTED) ./cmd/replypath
	@$(MAKE) --no-print-directory -k -j2 test-raced test-others

# Packages with goroutines are tested with the race detector.
test-raced:
	$(TEST) -race -p 2 $(RACED_FIRST) $$(.ci/raced)

# All other packages, most of which run the program itself, built once.
test-others:
	CGO_ENABLED=0 REPLYPATH_PROGRAM=$(CURDIR)/$(TESTED) $(TEST) -p 5 $(FIRST) $$(.ci/raced others)

# All rows of the matrix in etc/doc/proof.md, in each backend: UPDATE_DOCUMENTS=1 rewrites it.
matrix: needs
	REPLYPATH_MATRIX=1 go test -count=1 -timeout 0 -v -run TestVerdictsOnPlantedFaults ./test/matrix

chaos: needs
	REPLYPATH_CHAOS=$(TIME) go test -count=1 -timeout 0 -v -run TestServiceRecoversFromRandomDisturbances ./test/service

# The linters of .golangci.yml. Building golangci-lint takes minutes once: Go's build cache keeps it.
check:
	go run $(GOLANGCI) run ./...
	go mod tidy -diff

# For every day: the linters, and the tests that need no root and send no packets.
check-fast: check
	go test $$(.ci/rootless)

# Go benchmarks in the format of benchstat, then the comparison with no rules, one rule, the CONNMARK recipe and Shorewall.
bench: BENCH = -document etc/doc/performance.md -chart etc/bench.svg
bench: bench-go bench-program bench-asking bench-udp

bench-quick: BENCH = -quick
bench-quick: bench-program

# The default of nf_conntrack_max is below a million connections on most kernels: it is raised meanwhile, for all namespaces.
bench-program: build
	@.ci/needs bench
	@CGO_ENABLED=0 go build -trimpath -o .build/bench ./test/bench
	@limit=/proc/sys/net/netfilter/nf_conntrack_max; \
	  if was=$$(cat $$limit 2>/dev/null) && [ "$$was" -lt 1200000 ]; then \
	    trap "echo $$was >$$limit" EXIT; trap 'exit 1' INT TERM; echo 1200000 >$$limit || true; \
	  fi; \
	  .build/bench -replypath .build/replypath $(BENCH)

bench-go:
	go test -run '^$$' -bench . -benchmem -count $(COUNT) ./uplinks ./cmd/internal/config

# The cost of the idle service, over a minute, beside that of a program that does nothing but ask, and how often it wakes up: with 31
# uplinks whose gateways answer, or do not, and with probes of 31 and 250 gateways.
bench-idle: needs
	REPLYPATH_IDLE=1m go test -count=1 -v -run '^$$' -bench ServiceAtRest -benchtime 1x ./test/perf

# The cost of 64 probes, five times per second, when all are answered and when none is. Like bench-idle it fails when a bound
# is exceeded; REPLYPATH_ASK=10m shows that memory does not grow.
bench-asking: REPLYPATH_ASK ?= 20s
bench-asking: needs
	REPLYPATH_ASK=$(REPLYPATH_ASK) go test -count=1 -run '^$$' -bench Probes -benchtime 1x ./test/probes ./test/perf

# The duration of a proof of 31 uplinks in both families, the CPU time of one with hosts inside, and their bounds.
bench-proof: needs
	go test -count=1 -v -run '^$$' -bench '^BenchmarkProof$$' -benchtime 20x ./test/perf

# The CPU time of loading the table of nftables for 250 uplinks, over nft -f of the same; how long each of 100 flushes in ten
# seconds is repaired, and a program needs that does nothing else; and their bounds.
bench-nftables: needs
	go test -count=1 -v -run '^$$' -bench NativeLoad -benchtime 1x ./test/perf
	REPLYPATH_FLUSHES=100 go test -count=1 -v -run EachFlushIsRepairedAtOnce ./test/service

# The cost of the programs of [udp] for a question with its answer, and for a packet without a mark.
bench-udp: needs
	go test -count=1 -v -run '^$$' -bench UDPAnswers -benchtime 1x ./test/perf

# The Debian that bench-instructions emulates. It is kept, also across checkouts.
COUNTED := $(dir $(IMAGE))counted

# The instructions of packets, which are the same each time, in Debian's kernel emulated by qemu: one machine for each number of
# uplinks, at the same time. Fails when a bound is exceeded. It takes seven minutes of CPU time.
bench-instructions: build $(COUNTED)
	@.ci/needs qemu
	@CGO_ENABLED=0 go build -trimpath -o .build/bench ./test/bench
	.build/bench -replypath .build/replypath -instructions $(COUNTED) -document etc/doc/performance.md

$(COUNTED):
	@.ci/needs boot
	rm -rf $@.new
	mkdir -p $(@D)
	INITRD=No mmdebstrap --quiet --mode=root --variant=apt --include=kmod,iproute2,iptables,nftables,shorewall,shorewall6,linux-image-cloud-amd64 \
	  --aptopt='Apt::Install-Recommends "false"' --dpkgopt=force-unsafe-io $(foreach folder,doc man locale,--dpkgopt='path-exclude=/usr/share/$(folder)/*') trixie $@.new
	mv $@.new $@

# Runs each script of a folder on the built program, which the script finds in RP: make cases CASES=FOLDER. A case exits with
# 0 when the program does right. Libraries, which the scripts source, are no cases.
cases: build
	@[ -d "$(CASES)" ] || { echo "make cases CASES=FOLDER: the folder with the scripts" >&2; exit 2; }
	@failed=; for case in $(CASES)/*.sh; do \
	  case $${case##*/} in lib.sh | nclib.sh | world.sh) continue ;; esac; \
	  if RP=$(CURDIR)/.build/replypath bash "$$case" >.build/case.log 2>&1 </dev/null; then echo "ok    $${case##*/}"; \
	  else failed="$$failed $${case##*/}"; echo "FAIL  $${case##*/}"; tail -20 .build/case.log | sed 's/^/      /'; fi; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed" >&2; exit 1; }

fuzz:
	@grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do \
	  for name in $$(sed -nE 's/^func (Fuzz[[:alnum:]_]*).*/\1/p' "$$file"); do \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit 1; \
	  done; done

# Installs into DESTDIR, if given, for packages and image builders. Starts nothing.
install: build
	umask 022; set -e; \
	put() { install -D -m "$$1" "$$2" "$(DESTDIR)$$3"; }; \
	say() { install -d "$(DESTDIR)$${1%/*}"; shown=$$1; shift; "$$@" >"$(DESTDIR)$$shown"; chmod 644 "$(DESTDIR)$$shown"; }; \
	put 755 $(BINARY) $(PREFIX)/bin/replypath; \
	for file in systemd/system/replypath.service networkd.conf.d/replypath.conf tmpfiles.d/replypath.conf; do \
	  case $$file in networkd*) to=systemd/$$file ;; *) to=$$file ;; esac; \
	  put 644 etc/$${file#systemd/system/} $(PREFIX)/lib/$$to; \
	done; \
	for file in CHANGELOG.md LICENSE status.md recipes.md bench.svg init.d/replypath.openrc init.d/replypath.procd; do \
	  put 644 etc/$$file $(PREFIX)/share/doc/replypath/$${file#init.d/}; \
	done; \
	for file in keepalived.conf conntrackd.conf replypath.toml haproxy.cfg nginx.conf; do put 644 etc/pair/$$file $(PREFIX)/share/doc/replypath/pair/$$file; done; \
	for file in prometheus/replypath.rules.yml grafana/replypath.json; do put 644 etc/$$file $(PREFIX)/share/doc/replypath/$$file; done; \
	put 755 etc/pair/notify.sh $(PREFIX)/share/doc/replypath/pair/notify.sh; \
	put 644 README.md $(PREFIX)/share/doc/replypath/README.md; \
	sed -i 's|(etc/|(|g' "$(DESTDIR)$(PREFIX)/share/doc/replypath/README.md"; \
	for file in etc/doc/*.md; do put 644 $$file $(PREFIX)/share/doc/replypath/$${file#etc/}; done; \
	sed -i 's|/usr/local/bin|$(PREFIX)/bin|' "$(DESTDIR)$(PREFIX)/lib/systemd/system/replypath.service" "$(DESTDIR)$(PREFIX)/share/doc/replypath"/replypath.*; \
	put 644 etc/rt_protos.d/replypath.conf /etc/iproute2/rt_protos.d/replypath.conf; \
	put 644 etc/replypath.toml /etc/replypath/replypath.toml.sample; \
	install -d "$(DESTDIR)/etc/replypath/uplinks.d" "$(DESTDIR)/etc/iproute2/rt_tables.d"; \
	say $(PREFIX)/share/man/man8/replypath.8 .build/replypath man 8; \
	say $(PREFIX)/share/man/man5/replypath.toml.5 .build/replypath man 5; \
	for page in recipes status kernel proof doctor; do say $(PREFIX)/share/man/man7/replypath-$$page.7 .build/replypath man $$page; done; \
	say $(PREFIX)/share/bash-completion/completions/replypath .build/replypath completion bash; \
	say $(PREFIX)/share/fish/vendor_completions.d/replypath.fish .build/replypath completion fish; \
	say $(ZSH)/_replypath .build/replypath completion zsh

# Removes the installed files and no others: /etc/replypath stays when it has other files.
uninstall:
	rm -rf .build/stage
	$(MAKE) -s install DESTDIR=.build/stage
	(cd .build/stage && find . -type f) | while read -r file; do rm -f "$(DESTDIR)/$$file"; done
	rmdir "$(DESTDIR)$(PREFIX)/share/doc/replypath/doc" "$(DESTDIR)$(PREFIX)/share/doc/replypath/pair" "$(DESTDIR)$(PREFIX)/share/doc/replypath/prometheus" "$(DESTDIR)$(PREFIX)/share/doc/replypath/grafana" "$(DESTDIR)$(PREFIX)/share/doc/replypath" "$(DESTDIR)/etc/replypath/uplinks.d" "$(DESTDIR)/etc/replypath" 2>/dev/null || :

# .deb and .rpm for amd64 and arm64. Builds of the same commit are identical.
packages: build
	rm -rf $(PACKAGES)
	for arch in amd64 arm64; do \
	  $(MAKE) -s package ARCH=$$arch FORMAT=deb ZSH=/usr/share/zsh/vendor-completions || exit 1; \
	  $(MAKE) -s package ARCH=$$arch FORMAT=rpm ZSH=/usr/share/zsh/site-functions || exit 1; \
	done

# The version of a package, for the shell: that of the program which the build made.
PACKAGE_VERSION = $(or $(VERSION),$$(.build/replypath version | cut -d' ' -f2))

# The names that Debian's policy gives to a package's documents (chapter 12), and its own changelog.
DEBIAN = set -e; doc=.build/stage/usr/share/doc/replypath; mv $$doc/CHANGELOG.md $$doc/changelog; rm $$doc/LICENSE; \
	install -m 644 etc/package/copyright $$doc/copyright; \
	install -D -m 644 etc/package/lintian-overrides .build/stage/usr/share/lintian/overrides/replypath; \
	printf 'replypath (%s-1) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- The replypath authors <replypath@example.org>  %s\n' \
	  "$(PACKAGE_VERSION)" "$$(date -Ru -d @$(SOURCE_DATE_EPOCH))" >$$doc/changelog.Debian; \
	chmod 644 $$doc/changelog.Debian; gzip -9n $$doc/changelog $$doc/changelog.Debian

package: build
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -ldflags="-s -w" -o .build/$(ARCH)/replypath ./cmd/replypath
	rm -rf .build/stage
	$(MAKE) -s install DESTDIR=.build/stage PREFIX=/usr BINARY=.build/$(ARCH)/replypath ZSH=$(ZSH)
	gzip -9n .build/stage/usr/share/man/man?/*
	$(if $(filter deb,$(FORMAT)),$(DEBIAN))
	find .build/stage -exec touch -h -d @$(SOURCE_DATE_EPOCH) {} +
	install -d $(PACKAGES)
	VERSION=$(PACKAGE_VERSION) ARCH=$(ARCH) \
	  go run $(NFPM) package -f etc/package/nfpm.yaml -p $(FORMAT) -t $(PACKAGES) >/dev/null

# Boots a Debian with the package in systemd-nspawn, and with QEMU=1 in qemu too. The test binary also runs inside, so it is
# static.
test-boot: packages $(IMAGE)
	@.ci/needs boot
	lintian --fail-on error,warning $(PACKAGES)/*_$(DEBARCH).deb
	umask 077; TZ=Asia/Tokyo $(MAKE) -s packages PACKAGES=.build/again
	diff -r $(PACKAGES) .build/again
	rm -rf .build/next
	$(MAKE) -s package ARCH=$(DEBARCH) FORMAT=deb VERSION=9.9.9 PACKAGES=.build/next ZSH=/usr/share/zsh/vendor-completions
	$(if $(QEMU),@$(MAKE) --no-print-directory modules)
	$(BOOTS) REPLYPATH_NEXT_DEB=$$(echo $(CURDIR)/.build/next/*.deb) REPLYPATH_RPM=$$(echo $(CURDIR)/$(PACKAGES)/*.$$(uname -m).rpm) \
	  CGO_ENABLED=0 go test -tags boot$(if $(QEMU),$(comma)qemu) -count=1 -timeout $(if $(QEMU),3h,30m) -v ./test/boot

# Runs the packet tests of links and modules that this kernel may lack on whole machines, with the kernels of two Debians: what is
# accelerated, VRFs, VLANs, bonds, WireGuard, PPP. Without KVM it takes an hour of CPU time.
test-modules:
	@rm -rf $(PACKAGES)
	@$(MAKE) -s package ARCH=$(DEBARCH) FORMAT=deb ZSH=/usr/share/zsh/vendor-completions
	@$(MAKE) --no-print-directory modules
	$(BOOTS) CGO_ENABLED=0 go test -tags boot,qemu -count=1 -timeout 3h -v -run '^(TestModules|TestRecentKernel)$$' ./test/boot

# The environment of test/boot.
BOOTS = REPLYPATH_IMAGE=$(IMAGE) REPLYPATH_RECENT_IMAGE=$(RECENT) REPLYPATH_MODULES=$(CURDIR)/.build/modules \
	REPLYPATH_DEB=$$(echo $(CURDIR)/$(PACKAGES)/*_$(DEBARCH).deb)

# What whole machines boot and run.
modules:
	@.ci/needs boot
	@.ci/needs qemu
	@$(MAKE) --no-print-directory $(IMAGE)-kernel $(RECENT)
	rm -rf .build/modules
	mkdir -p .build/modules
	CGO_ENABLED=0 go test -c -tags modules -o .build/modules/ ./marks/nftnl ./test/reply ./test/doctor ./test/outbound ./test/routers

# The image that is booted, for qemu with a kernel. It is kept, also across checkouts.
$(IMAGE)-kernel: KERNEL = ,linux-image-cloud-$(DEBARCH),wireguard-tools
$(IMAGE) $(IMAGE)-kernel:
	@.ci/needs boot
	rm -rf $@.new
	mkdir -p $(@D)
	INITRD=No mmdebstrap --quiet --mode=root --variant=apt --include=$(BOOTED)$(KERNEL) --aptopt='Apt::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
	  $(foreach folder,doc man locale,--dpkgopt='path-exclude=/usr/share/$(folder)/*') \
	  --customize-hook='chroot "$$1" systemctl --quiet disable $(ASLEEP)' bookworm $@.new
	mv $@.new $@

# The Debian with a kernel that has TCX and PPP. Its initial file system has what finds the disk, no more.
RECENT_PACKAGES = systemd,systemd-sysv,udev,kmod,iproute2,iptables,nftables,procps,conntrack,wireguard-tools,ppp,initramfs-tools,linux-image-$(DEBARCH)
RECENT := $(dir $(IMAGE))recent-$(firstword $(shell echo $(RECENT_PACKAGES) | cksum))
$(RECENT):
	@.ci/needs boot
	rm -rf $@.new
	mkdir -p $(@D)
	INITRD=No mmdebstrap --quiet --mode=root --variant=apt --include=$(RECENT_PACKAGES) --aptopt='Apt::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
	  $(foreach folder,doc man locale,--dpkgopt='path-exclude=/usr/share/$(folder)/*') \
	  --customize-hook='echo MODULES=list >"$$1/etc/initramfs-tools/conf.d/disk"' \
	  --customize-hook='printf "nvme\next4\n" >>"$$1/etc/initramfs-tools/modules"' \
	  --customize-hook='env --unset=INITRD chroot "$$1" update-initramfs -c -k all' trixie $@.new
	mv $@.new $@

# Builds the image of etc/container with buildah on a Debian of the mirrors, and runs it with runc.
CONTAINER_BASE := $(dir $(IMAGE))container-base.tar
test-container: build $(CONTAINER_BASE)
	@.ci/needs container
	REPLYPATH_CONTAINER_BASE=$(CONTAINER_BASE) go test -tags container -count=1 -v ./test/container

$(CONTAINER_BASE):
	@.ci/needs container
	mkdir -p $(@D)
	mmdebstrap --quiet --mode=root --variant=apt --format=tar --include=iptables --aptopt='Apt::Install-Recommends "false"' bookworm $@.new
	mv $@.new $@

clean:
	rm -rf .build
