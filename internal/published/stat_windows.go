package published

import (
	"io/fs"
	"unsafe"

	"golang.org/x/sys/windows"
)

// basicInfo is FILE_BASIC_INFO; times are in 100 ns since 1601.
type basicInfo struct {
	CreationTime, LastAccessTime, LastWriteTime, ChangeTime int64
	FileAttributes                                          uint32
	_                                                       uint32
}

// since1601 is 1970 in the units of Windows.
const since1601 = 116444736000000000

func of(path string, fi fs.FileInfo) Stat {
	s := Stat{Size: fi.Size(), ModTime: fi.ModTime().UnixNano()}
	h, err := open(path)
	if err != nil {
		return s
	}
	defer windows.CloseHandle(h)
	s.fill(h)
	return s
}

func ofOpen(f fs.File) (Stat, error) {
	fi, err := f.Stat()
	if err != nil {
		return Stat{}, err
	}
	s := Stat{Size: fi.Size(), ModTime: fi.ModTime().UnixNano()}
	if h, ok := f.(interface{ Fd() uintptr }); ok {
		s.fill(windows.Handle(h.Fd()))
	}
	return s, nil
}

// open opens path for looking at it alone, so that a file that another process writes to can be looked at too.
func open(path string) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	const share = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	return windows.CreateFile(name, windows.FILE_READ_ATTRIBUTES, share, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
}

// fill adds what a listing of a folder does not have. It adds nothing where a part is not known.
func (s *Stat) fill(h windows.Handle) {
	var basic basicInfo
	var id windows.ByHandleFileInformation
	if windows.GetFileInformationByHandleEx(h, windows.FileBasicInfo, (*byte)(unsafe.Pointer(&basic)), uint32(unsafe.Sizeof(basic))) != nil ||
		windows.GetFileInformationByHandle(h, &id) != nil || basic.ChangeTime == 0 {
		return
	}
	s.ChangeTime = (basic.ChangeTime - since1601) * 100
	s.Device = uint64(id.VolumeSerialNumber)
	s.Inode = uint64(id.FileIndexHigh)<<32 | uint64(id.FileIndexLow)
}

// keepsChangeTime is true for NTFS. The number of a file of ReFS has 128 bits, of which only half are known here.
func keepsChangeTime(path string) bool {
	h, err := open(path)
	if err != nil {
		return false
	}
	defer windows.CloseHandle(h)
	var name [windows.MAX_PATH + 1]uint16
	if windows.GetVolumeInformationByHandle(h, nil, 0, nil, nil, nil, &name[0], uint32(len(name))) != nil {
		return false
	}
	return windows.UTF16ToString(name[:]) == "NTFS" && !remote(h)
}

// remote says whether the file is on another machine, whose answers may come from a memory of this one.
func remote(h windows.Handle) bool {
	var name [windows.MAX_LONG_PATH]uint16
	n, err := windows.GetFinalPathNameByHandle(h, &name[0], uint32(len(name)), 0)
	const unc = `\\?\UNC\`
	return err != nil || int(n) >= len(name) || len(windows.UTF16ToString(name[:n])) >= len(unc) && windows.UTF16ToString(name[:n])[:len(unc)] == unc
}
