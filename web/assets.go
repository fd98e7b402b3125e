package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed assets
var assets embed.FS

// asset is a file that the page refers to.
type asset struct {
	name, kind, tag string
	content         []byte
}

func loadAssets() []asset {
	all := []asset{
		{name: "style.css", kind: "text/css; charset=utf-8"},
		{name: "page.js", kind: "text/javascript; charset=utf-8"},
		{name: "icon.svg", kind: "image/svg+xml"},
	}
	for i := range all {
		a := &all[i]
		a.content = readAsset(a.name)
		sum := sha256.Sum256(a.content)
		a.tag = `"` + hex.EncodeToString(sum[:8]) + `"`
	}
	return all
}

// readAsset panics for a file that was not built in, which a test would find.
func readAsset(name string) []byte {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	return content
}

// ServeHTTP lets browsers keep the file, and ask whether it is still the same.
func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", a.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}
