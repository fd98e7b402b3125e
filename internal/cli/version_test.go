package cli

import (
	"runtime/debug"
	"testing"
)

func TestVersionIsTheBuildsElseGosElseNone(t *testing.T) {
	t.Parallel()
	installed := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}
	built := &debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.4-0.20260102030405-0123456789ab+dirty"},
		Settings: []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "0123456789abcdef"}},
	}
	for _, test := range []struct {
		name, version, revision   string
		info                      *debug.BuildInfo
		wantVersion, wantRevision string
	}{
		{"stamped", "v2.0.0", "abc", built, "v2.0.0", "abc"},
		{"stamped with a version alone", "v2.0.0", "", built, "v2.0.0", "0123456789abcdef"},
		{"go install", "", "", installed, "v1.2.3", "unknown"},
		{"go build in a repository", "", "", built, "v1.2.4-0.20260102030405-0123456789ab+dirty", "0123456789abcdef"},
		{"go build elsewhere", "", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, Unversioned, "unknown"},
		{"without build information", "", "", nil, Unversioned, "unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			version, revision := identity(test.version, test.revision, test.info)
			if version != test.wantVersion || revision != test.wantRevision {
				t.Errorf("version %q, revision %q; want %q, %q", version, revision, test.wantVersion, test.wantRevision)
			}
		})
	}
}
