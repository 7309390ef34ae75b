package spool

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func config(dir string) Config {
	return Config{Dir: dir, MaxBytes: 64 << 20, Logger: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, cfg Config) *Spool {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// drain empties s and returns what it held.
func drain(t *testing.T, s *Spool) (entries []string, damaged, torn int) {
	t.Helper()
	for {
		seg, _, err := s.Next(0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if seg == nil {
			return entries, damaged, torn
		}
		for _, e := range seg.Entries {
			entries = append(entries, string(e))
		}
		damaged, torn = damaged+seg.Damaged, torn+seg.Torn
		if err := s.Remove(seg, false); err != nil {
			t.Fatal(err)
		}
	}
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// What many append at once comes back whole, each sender's entries in its order, also from the next
// process.
func TestKeepsInOrder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, config(dir))
	const senders, each = 16, 50
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for k := range each {
				if err := s.Append(t.Context(), fmt.Appendf(nil, "%02d %04d", i, k), bytes.Repeat([]byte("x"), 3000)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if u, err := s.Usage(); err != nil || u.Bytes < senders*each*3000 || u.Oldest.IsZero() || u.Room <= 0 {
		t.Errorf("usage %+v, %v", u, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, config(dir))
	got, damaged, torn := drain(t, s)
	if len(got) != 2*senders*each || damaged != 0 || torn != 0 {
		t.Fatalf("%d entries, %d bytes damaged, %d torn", len(got), damaged, torn)
	}
	last := map[string]string{}
	for i := 0; i < len(got); i += 2 {
		sender, number, _ := strings.Cut(got[i], " ")
		if number <= last[sender] && last[sender] != "" {
			t.Fatalf("sender %s: %s after %s", sender, number, last[sender])
		}
		last[sender] = number
	}
	if u, err := s.Usage(); err != nil || u.Bytes != 0 || u.Segments != 0 || !u.Oldest.IsZero() {
		t.Errorf("usage of the empty spool %+v, %v", u, err)
	}
}

// What was fsynced survives whatever stands behind it: the last record cut at every byte, zeros,
// and rubbish.
func TestTornTail(t *testing.T) {
	whole := appendFrame(appendFrame(nil, []byte("first")), []byte("second"))
	last := appendFrame(nil, []byte("the last one"))
	for cut := range len(last) {
		entries, damaged, torn := parse(append(bytes.Clone(whole), last[:cut]...))
		if len(entries) != 2 || string(entries[1]) != "second" || damaged != 0 || torn != cut {
			t.Fatalf("cut at %d: %q, %d damaged, %d torn", cut, entries, damaged, torn)
		}
	}
	if entries, damaged, torn := parse(append(bytes.Clone(whole), make([]byte, 100)...)); len(entries) != 2 ||
		damaged != 0 || torn != 100 {
		t.Errorf("zeros: %q, %d damaged, %d torn", entries, damaged, torn)
	}
	if entries, damaged, _ := parse(append(bytes.Clone(whole), "what is this?"...)); len(entries) != 2 || damaged != 13 {
		t.Errorf("rubbish: %q, %d damaged", entries, damaged)
	}
}

// A flipped bit takes the entry that it is in, is noticed, and takes no other.
func TestFlippedBits(t *testing.T) {
	entries := []string{"first", "second", "third"}
	var whole []byte
	for _, e := range entries {
		whole = appendFrame(whole, []byte(e))
	}
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			got, damaged, torn := parse(b)
			if len(got) != 2 || damaged+torn == 0 {
				t.Fatalf("byte %d, bit %d: %q, %d damaged, %d torn", i, bit, got, damaged, torn)
			}
			for _, e := range got {
				if s := string(e); s != "first" && s != "second" && s != "third" {
					t.Fatalf("byte %d, bit %d: %q was never appended", i, bit, s)
				}
			}
			if i < len(whole)-frameHeader-len("third") && damaged == 0 {
				t.Fatalf("byte %d, bit %d: not reported as damage", i, bit)
			}
		}
	}
}

// A damaged segment is kept for people, and still counts.
func TestDamagedSegmentIsKept(t *testing.T) {
	dir := t.TempDir()
	s := open(t, config(dir))
	if err := s.Append(t.Context(), []byte("good"), []byte("bad"), []byte("good too")); err != nil {
		t.Fatal(err)
	}
	path := segments(t, dir)[0]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte("bad"))] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	got, damaged, _ := drain(t, s)
	if fmt.Sprint(got) != "[good good too]" || damaged != frameHeader+3 {
		t.Errorf("%q, %d bytes damaged", got, damaged)
	}
	if kept, err := os.ReadFile(path + keptSuffix); err != nil || !bytes.Equal(kept, b) {
		t.Errorf("the damaged segment: %v", err)
	}
	if u, _ := s.Usage(); u.Bytes != int64(len(b)) {
		t.Errorf("%d bytes in use, want the kept file's %d", u.Bytes, len(b))
	}
}

func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, config(dir))
	if _, err := Open(config(dir)); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "(hint: ") {
		t.Errorf("second Open: %v, want ErrLocked and a hint", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, config(dir))
}

func TestDirectoryIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "spool")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, config(dir))
	if err := s.Append(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, segments(t, dir)[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

func TestFull(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.MaxBytes = 2 * segmentBytes
	s := open(t, cfg)
	entry := make([]byte, 1<<20)
	kept := 0
	for ; kept < 100; kept++ {
		if err := s.Append(t.Context(), entry); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatalf("Append: %v, want ErrFull", err)
			}
			break
		}
	}
	if kept != 7 { // eight would fit without their frames
		t.Errorf("%d MiB kept of a limit of 8", kept)
	}
	if _, err := s.Usage(); !errors.Is(err, ErrFull) {
		t.Errorf("Usage: %v, want ErrFull", err)
	}
	if got, _, _ := drain(t, s); len(got) != kept {
		t.Errorf("%d entries, want %d", len(got), kept)
	}
	if err := s.Append(t.Context(), entry); err != nil {
		t.Errorf("Append after the drain: %v", err)
	}
}

// A segment may vanish, and names that are not ours are not guessed at.
func TestForeignHands(t *testing.T) {
	dir := t.TempDir()
	s := open(t, config(dir))
	if err := s.Append(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(segments(t, dir)[0]); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := drain(t, s); len(got) != 0 {
		t.Errorf("%q out of nothing", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "backup"+suffix), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(config(dir)); err == nil || !strings.Contains(err.Error(), "(hint: ") {
		t.Errorf("Open: %v, want a hint", err)
	}
}

// A segment that is delivered in part keeps its place among the others. What a process leaves that
// ends while it rewrites does no harm.
func TestRewrite(t *testing.T) {
	dir := t.TempDir()
	var names []int64
	for _, entries := range [][]string{{"a", "b", "c"}, {"d"}} {
		s := open(t, config(dir))
		for _, e := range entries {
			if err := s.Append(t.Context(), []byte(e)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, config(dir))
	first, _, err := s.Next(0, nil)
	if err != nil || first == nil {
		t.Fatal(first, err)
	}
	if err := s.Rewrite(first, first.Entries[1:2]); err != nil {
		t.Fatal(err)
	}
	unfinished := segments(t, dir)[0] + rewriteSuffix
	if err := os.WriteFile(unfinished, []byte("half of a seg"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, config(dir))
	if _, err := os.Stat(unfinished); err == nil {
		t.Error("the unfinished file is still there")
	}
	var got []string
	for last := int64(0); ; {
		seg, _, err := s.Next(last, nil)
		if err != nil {
			t.Fatal(err)
		}
		if seg == nil {
			break
		}
		for _, e := range seg.Entries {
			got = append(got, string(e))
		}
		last = seg.Name
		names = append(names, last)
	}
	if fmt.Sprint(got) != "[b d]" || names[0] != first.Name {
		t.Errorf("%q in segments %d, want b in %d, then d", got, names, first.Name)
	}
	if again, _, _ := drain(t, s); fmt.Sprint(again) != "[b d]" {
		t.Errorf("drained %q", again)
	}
	if u, err := s.Usage(); err != nil || u.Bytes != 0 {
		t.Errorf("usage %+v, %v", u, err)
	}
}

// A clock that is set back neither stops the spool nor makes its oldest entry younger than nothing.
func TestClockSetBack(t *testing.T) {
	dir := t.TempDir()
	name := fmt.Sprintf("%019d%s", time.Now().Add(time.Hour).UnixNano(), suffix)
	if err := os.WriteFile(filepath.Join(dir, name), appendFrame(nil, []byte("of the hour to come")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, config(dir))
	if err := s.Append(t.Context(), []byte("of now")); err != nil {
		t.Fatal(err)
	}
	if u, err := s.Usage(); err != nil || u.Oldest.After(time.Now()) {
		t.Errorf("usage %+v, %v", u, err)
	}
	if got, _, _ := drain(t, s); fmt.Sprint(got) != "[of the hour to come of now]" {
		t.Errorf("%q", got)
	}
}

// A segment of a format that this version does not know is kept, not delivered and not deleted.
func TestForeignVersion(t *testing.T) {
	dir := t.TempDir()
	frame := appendFrame(nil, []byte("of another version"))
	frame[len(mark)-1]++
	if err := os.WriteFile(filepath.Join(dir, "0000000000000000001"+suffix), frame, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, config(dir))
	got, damaged, _ := drain(t, s)
	if len(got) != 0 || damaged != len(frame) {
		t.Errorf("%q, %d bytes damaged", got, damaged)
	}
	if kept, err := filepath.Glob(filepath.Join(dir, "*"+keptSuffix)); err != nil || len(kept) != 1 {
		t.Errorf("kept: %q, %v", kept, err)
	}
}

// TestKill kills a process that appends, and reads what it had been promised.
func TestKill(t *testing.T) {
	if dir := os.Getenv("TRIBUTARY_SPOOL_CHILD"); dir != "" {
		s := open(t, config(dir))
		for i := 0; ; i++ {
			if err := s.Append(t.Context(), fmt.Appendf(nil, "entry %d", i)); err != nil {
				t.Fatal(err)
			}
			fmt.Println("kept", i)
		}
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "TRIBUTARY_SPOOL_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	promised := 0
	for lines := bufio.NewScanner(out); lines.Scan(); promised++ {
		if promised == 100 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if promised < 100 {
		t.Fatalf("the child kept %d entries only", promised)
	}
	got, damaged, _ := drain(t, open(t, config(dir)))
	if len(got) < promised || damaged != 0 {
		t.Fatalf("%d entries of %d promised, %d bytes damaged", len(got), promised, damaged)
	}
	for i, e := range got {
		if e != fmt.Sprintf("entry %d", i) {
			t.Fatalf("entry %d is %q", i, e)
		}
	}
}

func TestValidate(t *testing.T) {
	err := Config{}.Validate()
	if err == nil || strings.Count(err.Error(), "(hint: ") != 2 {
		t.Errorf("Validate: %v, want two faults with hints", err)
	}
}

// FuzzParse reads arbitrary files: never a panic, every byte accounted for, and what is sound in
// front is always found.
func FuzzParse(f *testing.F) {
	two := appendFrame(appendFrame(nil, []byte("first")), []byte("second"))
	f.Add([]byte("one"), []byte{})
	f.Add([]byte("one"), two)
	f.Add([]byte("one"), two[:len(two)-3])
	f.Add([]byte("one"), append([]byte("rubbish"), two...))
	f.Add([]byte("one"), append(append([]byte{}, mark...), 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, entry, rest []byte) {
		if len(entry) == 0 {
			entry = []byte("e")
		}
		b := append(appendFrame(nil, entry), rest...)
		entries, damaged, torn := parse(b)
		if len(entries) == 0 || !bytes.Equal(entries[0], entry) {
			t.Fatalf("the first entry is lost before %x", rest)
		}
		sum := damaged + torn
		for _, e := range entries {
			sum += frameHeader + len(e)
			if !bytes.Contains(b, appendFrame(nil, e)) {
				t.Fatalf("%x is not in the file", e)
			}
		}
		if sum != len(b) {
			t.Fatalf("%d of %d bytes accounted for", sum, len(b))
		}
	})
}

// A check says what a start would say of the directory, and changes nothing.
func TestTry(t *testing.T) {
	base := t.TempDir()
	good := filepath.Join(base, "good")
	if notes, err := Try(filepath.Join(good, "below")); err != nil || len(notes) > 0 {
		t.Errorf("a directory that is still to be made: %q %v", notes, err)
	}
	if left, err := os.ReadDir(base); err != nil || len(left) > 0 {
		t.Errorf("the check left %v %v", left, err)
	}
	s := open(t, Config{Dir: good, MaxBytes: 1 << 30})
	if notes, err := Try(good); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "in use") {
		t.Errorf("a directory in use: %q %v", notes, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if notes, err := Try(good); err != nil || len(notes) > 0 {
		t.Errorf("a directory that a spool left: %q %v", notes, err)
	}
	foreign := filepath.Join(base, "foreign")
	if err := os.MkdirAll(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "a.spool"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{foreign, "/proc/nothing", filepath.Join(foreign, "a.spool", "b")} {
		if notes, err := Try(dir); err == nil || !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("%s: %q %v", dir, notes, err)
		}
	}
}
