package published

import (
	"io/fs"
	"sync"
	"time"
)

// Stat is what the file system says of a file without opening it. Two that are equal in all fields are of one content, if the first was
// settled when that content was read (see Settled). Times are in nanoseconds since 1970; a field that is not known is 0.
type Stat struct {
	Size    int64
	ModTime int64
	// ChangeTime is when the kernel last noted a change of the file. Nobody can set it back, as cp -p, rsync -t and unpacked archives do
	// with ModTime.
	ChangeTime int64
	// Device and Inode name the file itself, whatever its path.
	Device, Inode uint64
}

// SameFile says whether both are of one file, by whatever paths: a file and a hard link to it.
func (s Stat) SameFile(t Stat) bool {
	return s.Inode != 0 && s.Inode == t.Inode && s.Device == t.Device
}

// Tick is more than the step of the clock that files are stamped with. Linux stamps with the time of the last timer interrupt, of which
// there are 100 to 1000 a second, Windows with that of one of 64 a second.
const Tick = 50 * time.Millisecond

// coarseTick is the same for file systems that keep whole seconds (ext3, HFS+).
const coarseTick = 2 * time.Second

// tick is that of the file system that s comes from. A time without a fraction is taken for one of whole seconds: where it is not, the
// file waits for the next scan to be recorded.
func (s Stat) tick() time.Duration {
	if s.ChangeTime%int64(time.Second) == 0 {
		return coarseTick
	}
	return Tick
}

// Settled says whether a write after the moment at will show in the change time. It would not, if the file was stamped in the very step of
// the clock that the write falls in, or if its times are of the future (the clock was set back): then the same size, times and inode may
// belong to other content, as in git's index ("racily clean"). The moment is that before the content was read.
func (s Stat) Settled(at time.Time) bool {
	return s.ChangeTime != 0 && s.Inode != 0 && max(s.ChangeTime, s.ModTime) < at.UnixNano()-int64(s.tick())
}

// Since says whether the file was written, or anything else of it changed, at the moment at or later, which is a file's time too. In doubt,
// as within one step of the clock, it says that it was. Where no change time is known the time of modification has to do.
func (s Stat) Since(at int64) bool {
	when := s.ChangeTime
	if when == 0 {
		when = s.ModTime
	}
	return when >= at-int64(s.tick())
}

// WrittenInPlace says whether the content was written where it is: a copy that keeps the time of its source, as the SDK's copies do, has a
// time of modification that is older than the file.
func (s Stat) WrittenInPlace() bool {
	d := s.ChangeTime - s.ModTime
	return s.ChangeTime != 0 && max(d, -d) < int64(time.Millisecond)
}

// Of returns the Stat of the file at path, whose information is fi: that of os.Stat, or of os.Lstat when path is no link.
func Of(path string, fi fs.FileInfo) Stat { return of(path, fi) }

// OfOpen returns the Stat of an open file.
func OfOpen(f fs.File) (Stat, error) { return ofOpen(f) }

// FileSystems knows which file systems keep a change time of their own. It is safe for concurrent use; its zero value is ready.
type FileSystems struct {
	mu    sync.Mutex
	known map[uint64]bool
}

// KeepChangeTime says whether the file system of the file at path is known to stamp every change of a file's content at once, by a clock that
// no program can set. FAT and file systems over SFTP repeat the time of modification, and those of other machines may answer from a
// memory that is seconds old: there, only reading tells whether a file changed.
func (k *FileSystems) KeepChangeTime(path string, s Stat) bool {
	if s.ChangeTime == 0 || s.Inode == 0 {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	keeps, ok := k.known[s.Device]
	if !ok {
		if k.known == nil {
			k.known = map[uint64]bool{}
		}
		keeps = keepsChangeTime(path)
		k.known[s.Device] = keeps
	}
	return keeps
}
