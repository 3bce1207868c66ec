# Everything here needs Go; what needs Xen boots it under QEMU by itself.
GO      ?= go
PREFIX  ?= /usr/local

export CGO_ENABLED = 0

programs := $(filter-out internal xenlab,$(notdir $(wildcard cmd/*)))
units    := $(wildcard cmd/*/*.service)
stores   := chmod control exists list ls read rm watch write

.PHONY: build demo test matrix bench install clean

build: ## static binaries in bin/
	$(GO) build -tags urfave_cli_no_docs -trimpath -buildvcs=false -ldflags='-s -w' -o bin/ ./cmd/...

demo: bin/xenlab ## our xl on a real Xen, to look at
	bin/xenlab demo

test: bin/xenlab ## every test there is, on Xen 4.17, 4.14 and 4.20
	bin/xenlab test

matrix: bin/xenlab ## the whole tables and the README's; in pieces: make matrix XEN=4.14 PEER=4.17 PKG=./lab/move RUN=TestLabMove RESUME=1
	bin/xenlab test --full --no-unit --table README.md $(XEN:%=--xen %) $(PEER:%=--peer %) $(RUN:%=--run '%') $(RESUME:%=--resume) $(PKG)

bench: bin/xenlab ## ours and the genuine xl side by side, into bench/
	bin/xenlab bench

install: build ## into $(PREFIX): beside the genuine tools, not over them
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(programs:%=bin/%) $(DESTDIR)$(PREFIX)/bin
	for u in $(units); do install -d $(DESTDIR)$(PREFIX)/lib/systemd/system && sed 's|/usr/local|$(PREFIX)|' $$u \
	  > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$(basename $$u) || exit 1; done
	if test -x bin/xenstore; then for s in $(stores); do \
	  ln -sf xenstore $(DESTDIR)$(PREFIX)/bin/xenstore-$$s; done; fi

clean:
	rm -rf bin

# Go decides itself whether anything has changed.
.PHONY: bin/xenlab
bin/xenlab:
	$(GO) build -trimpath -buildvcs=false -o bin/xenlab ./cmd/xenlab
