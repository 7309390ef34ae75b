package dashboard

import (
	"embed"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// "all:" embeds files whose names begin with a dot, too. Until the chart library is fetched, vendor
// holds only such a file, and a pattern that matches no file does not compile.
//
//go:embed all:assets
var assets embed.FS

// file is one file of the page, ready to be sent.
type file struct {
	mediaType    string
	body, zipped []byte
	tag, zipTag  string
}

// readFiles reads the embedded files, and neither directories nor dot files.
func readFiles() (map[string]*file, error) {
	files := make(map[string]*file)
	err := fs.WalkDir(assets, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		body, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		f := &file{
			mediaType: mime.TypeByExtension(path.Ext(name)),
			body:      body,
			tag:       etag(false, body),
			zipTag:    etag(true, body),
		}
		if compressible(f.mediaType) {
			f.zipped = compress(body)
		}
		files[strings.TrimPrefix(name, "assets/")] = f
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the page's files: %w", err)
	}
	return files, nil
}

// serveFile serves one file of the page. Browsers ask each time whether it has changed: a new
// version of the program shows at once.
func (d *Dashboard) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	f, ok := d.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	zip := f.zipped != nil && acceptsGzip(r)
	tag := f.tag
	if zip {
		tag = f.zipTag
	}
	h.Add("Vary", "Accept-Encoding")
	h.Set("ETag", tag)
	if matches(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.mediaType)
	writeBody(w, r, f.body, f.zipped, zip)
}
