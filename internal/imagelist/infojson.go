package imagelist

import "encoding/json"

// The types of image-info.json read and write the members that they do not know.

type plainImageInfo ImageInfo

// UnmarshalJSON keeps the members that the type does not know.
func (x *ImageInfo) UnmarshalJSON(data []byte) (err error) {
	if err = json.Unmarshal(data, (*plainImageInfo)(x)); err != nil {
		return err
	}
	x.more, err = unknown(data, x)
	return err
}

// MarshalJSON writes them again.
func (x ImageInfo) MarshalJSON() ([]byte, error) { return withMore(plainImageInfo(x), x.more) }

type plainInfoRepo InfoRepo

// UnmarshalJSON keeps the members that the type does not know.
func (x *InfoRepo) UnmarshalJSON(data []byte) (err error) {
	if err = json.Unmarshal(data, (*plainInfoRepo)(x)); err != nil {
		return err
	}
	x.more, err = unknown(data, x)
	return err
}

// MarshalJSON writes them again.
func (x InfoRepo) MarshalJSON() ([]byte, error) { return withMore(plainInfoRepo(x), x.more) }

type plainInfoImage InfoImage

// UnmarshalJSON keeps the members that the type does not know.
func (x *InfoImage) UnmarshalJSON(data []byte) (err error) {
	if err = json.Unmarshal(data, (*plainInfoImage)(x)); err != nil {
		return err
	}
	x.more, err = unknown(data, x)
	return err
}

// MarshalJSON writes them again.
func (x InfoImage) MarshalJSON() ([]byte, error) { return withMore(plainInfoImage(x), x.more) }

type plainInfoManifest InfoManifest

// UnmarshalJSON keeps the members that the type does not know.
func (x *InfoManifest) UnmarshalJSON(data []byte) (err error) {
	if err = json.Unmarshal(data, (*plainInfoManifest)(x)); err != nil {
		return err
	}
	x.more, err = unknown(data, x)
	return err
}

// MarshalJSON writes them again.
func (x InfoManifest) MarshalJSON() ([]byte, error) { return withMore(plainInfoManifest(x), x.more) }

type plainInfoPlatform InfoPlatform

// UnmarshalJSON keeps the members that the type does not know.
func (x *InfoPlatform) UnmarshalJSON(data []byte) (err error) {
	if err = json.Unmarshal(data, (*plainInfoPlatform)(x)); err != nil {
		return err
	}
	x.more, err = unknown(data, x)
	return err
}

// MarshalJSON writes them again.
func (x InfoPlatform) MarshalJSON() ([]byte, error) { return withMore(plainInfoPlatform(x), x.more) }
