// Archive writes a folder into an archive, the same bytes whoever does it and
// when: names in order, root as owner, one time for all.
//
//	archive FILE.tar.gz|FILE.zip FOLDER SECONDS
//
// The archive holds the folder, with files of the mode 0755 or 0644, and
// SECONDS since 1970 as their time.
package main

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("archive: ")
	if len(os.Args) != 4 {
		log.Fatal("usage: archive FILE.tar.gz|FILE.zip FOLDER SECONDS")
	}
	seconds, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	if err := write(os.Args[1], os.Args[2], time.Unix(seconds, 0).UTC()); err != nil {
		log.Fatal(err)
	}
}

// archiver takes files in order.
type archiver interface {
	// begin returns what takes the content of a file.
	begin(name string, mode fs.FileMode, size int64) (io.Writer, error)
	io.Closer
}

func write(file, folder string, at time.Time) (err error) {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, out.Close()) }()
	a, err := newArchiver(file, out, at)
	if err != nil {
		return err
	}
	// In the order of names, as WalkDir goes.
	err = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return add(a, folder, name)
	})
	return errors.Join(err, a.Close())
}

func newArchiver(file string, out io.Writer, at time.Time) (archiver, error) {
	switch {
	case strings.HasSuffix(file, ".tar.gz"):
		// Without a name and a time, and the same on every system.
		compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		compressed.OS = 255
		return tarball{tar.NewWriter(compressed), compressed, at}, nil
	case strings.HasSuffix(file, ".zip"):
		return zipped{zip.NewWriter(out), at}, nil
	}
	return nil, fmt.Errorf("%s: want .tar.gz or .zip", file)
}

func add(a archiver, folder, name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	inside, err := filepath.Rel(filepath.Dir(filepath.Clean(folder)), name)
	if err != nil {
		return err
	}
	to, err := a.begin(path.Clean(filepath.ToSlash(inside)), mode, info.Size())
	if err != nil {
		return err
	}
	_, err = io.Copy(to, in)
	return err
}

type tarball struct {
	*tar.Writer
	compressed io.Closer
	at         time.Time
}

func (t tarball) begin(name string, mode fs.FileMode, size int64) (io.Writer, error) {
	return t.Writer, t.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: size, ModTime: t.at, Uname: "root", Gname: "root", Format: tar.FormatUSTAR,
	})
}

func (t tarball) Close() error { return errors.Join(t.Writer.Close(), t.compressed.Close()) }

type zipped struct {
	*zip.Writer
	at time.Time
}

func (z zipped) begin(name string, mode fs.FileMode, _ int64) (io.Writer, error) {
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: z.at}
	header.SetMode(mode)
	return z.CreateHeader(header)
}
