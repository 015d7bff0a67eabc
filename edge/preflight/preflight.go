package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"pkgedge/cache/fsys"
	"pkgedge/edge/config"
	"pkgedge/edge/report"
)

// Finding is one thing that was looked at.
type Finding struct {
	Key   string `json:"key"` // of the configuration, such as "cache.disk"
	Wrong bool   `json:"wrong"`
	Text  string `json:"text"`
}

func well(key, format string, args ...any) Finding {
	return Finding{Key: key, Text: fmt.Sprintf(format, args...)}
}

func wrong(key, format string, args ...any) Finding {
	return Finding{Key: key, Wrong: true, Text: report.Printable(fmt.Sprintf(format, args...))}
}

// Check looks at all that cfg needs, the masters at the same time. It takes as long as the
// slowest master, and masterLimit at most. ctx ends it.
func Check(ctx context.Context, cfg *config.Config) []Finding {
	found := ports(ctx, cfg)
	found = append(found, disk(cfg), memory(cfg))
	return append(found, masters(ctx, cfg)...)
}

// ports tries to listen where the edge would.
func ports(ctx context.Context, cfg *config.Config) (found []Finding) {
	for _, l := range []struct{ key, address string }{
		{"listen", cfg.Listen}, {"tls.listen", cfg.TLS.Listen}, {"admin.listen", cfg.Admin.Listen},
	} {
		if l.address == "" {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.address)
		switch {
		case err == nil:
			listener.Close()
			found = append(found, well(l.key, "%s is free", l.address))
		case errors.Is(err, syscall.EADDRINUSE):
			found = append(found, wrong(l.key, "%s is in use, by another process or by an edge that runs already", l.address))
		case errors.Is(err, fs.ErrPermission):
			found = append(found, wrong(l.key, "this user may not listen on %s: ports below 1024 need CAP_NET_BIND_SERVICE", l.address))
		default:
			found = append(found, wrong(l.key, "cannot listen on %s: %v", l.address, report.Cause(err)))
		}
	}
	return found
}

// disk compares the disk tier with the file system that it would be on.
func disk(cfg *config.Config) Finding {
	const key = "cache.disk"
	if cfg.Cache.Disk == 0 {
		return well(key, "there is no disk tier")
	}
	dir, err := filepath.Abs(cfg.Cache.Dir)
	if err != nil {
		return wrong("cache.dir", "%v", err)
	}
	for { // the directory, or the one that it would be made in
		_, err := os.Stat(dir)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return wrong("cache.dir", "cannot look at %s: %v", dir, report.Cause(err))
		}
		dir = filepath.Dir(dir)
	}
	space, err := fsys.System().Space(dir)
	if err != nil {
		return wrong(key, "cannot tell the size of the file system of %s: %v", dir, report.Cause(err))
	}
	size, total, free := report.HumanBytes(cfg.Cache.Disk), report.HumanBytes(space.Total), report.HumanBytes(space.Free)
	if cfg.Cache.Disk > space.Total {
		return wrong(key, "%s is more than the file system of %s has: %s, of which %s are free", size, dir, total, free)
	}
	return well(key, "%s, on a file system of %s with %s free", size, total, free)
}

// memory compares the budget with the memory that the machine, or the container, gives.
func memory(cfg *config.Config) Finding {
	const key = "cache.memory"
	budget := report.HumanBytes(cfg.Cache.Memory)
	total, of := machineMemory()
	switch {
	case total == 0:
		return well(key, "%s; this system does not tell how much memory it has", budget)
	case cfg.Cache.Memory > total-total/10:
		return wrong(key, "%s is more than nine tenths of the memory of %s, %s: the system would end the edge", budget, of, report.HumanBytes(total))
	}
	return well(key, "%s, and %s has %s", budget, of, report.HumanBytes(total))
}

// masters asks each master once.
func masters(ctx context.Context, cfg *config.Config) []Finding {
	var asked []inquiry
	for i := range cfg.Sites {
		s := &cfg.Sites[i]
		asked = append(asked, inquiries(s, fmt.Sprintf("site %s", s.Name), s.Masters, s.Credentials)...)
		asked = append(asked, inquiries(s, fmt.Sprintf("site %s, files", s.Name), s.Files, s.Credentials)...)
		for j := range s.Scopes {
			sc := &s.Scopes[j]
			asked = append(asked, inquiries(s, fmt.Sprintf("site %s, %s", s.Name, sc.Name), sc.Masters, sc.Credentials)...)
			asked = append(asked, inquiries(s, fmt.Sprintf("site %s, %s, files", s.Name, sc.Name), sc.Files, sc.Credentials)...)
		}
	}
	found := make([]Finding, len(asked))
	var all sync.WaitGroup
	for i, q := range asked {
		all.Go(func() { found[i] = q.ask(ctx) })
	}
	all.Wait()
	return found
}
