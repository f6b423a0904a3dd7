package diag

// Codes of the .NET SDK that Gantry raises for the same condition
// (dotnet/sdk, src/Containers, Resources/Strings.resx).
const (
	BlobUploadFailed       Code = "CONTAINER1001"
	TokenMissing           Code = "CONTAINER1003"
	RegistryPushFailed     Code = "CONTAINER1005"
	TooManyRetries         Code = "CONTAINER1006"
	TokenUnreadable        Code = "CONTAINER1007"
	CredentialsUnavailable Code = "CONTAINER1008"
	LocalLoadFailed        Code = "CONTAINER1009"
	NoImageForRID          Code = "CONTAINER1011"
	NoLocalRegistry        Code = "CONTAINER1012"
	ManifestPullFailed     Code = "CONTAINER1014"
	RepositoryNotFound     Code = "CONTAINER1015"
	RepositoryForbidden    Code = "CONTAINER1016"
	RegistryUnreachable    Code = "CONTAINER1017"
	UnknownMediaType       Code = "CONTAINER2001"
	UnknownLocalRegistry   Code = "CONTAINER2002"
	UnknownManifest        Code = "CONTAINER2003"
	LayerNotDownloadable   Code = "CONTAINER2004"
	InvalidRepository      Code = "CONTAINER2005"
	InvalidTag             Code = "CONTAINER2007"
	InvalidBaseReference   Code = "CONTAINER2009"
	InvalidTags            Code = "CONTAINER2010"
	PublishFolderMissing   Code = "CONTAINER2011"
	InvalidRegistry        Code = "CONTAINER2012"
	InvalidEnvironmentName Code = "CONTAINER2015"
	MissingPortNumber      Code = "CONTAINER2016"
	InvalidPort            Code = "CONTAINER2017"
	UnknownInstruction     Code = "CONTAINER2021"
	BaseEntrypointReplaced Code = "CONTAINER2022"
	ArgsWithoutEntrypoint  Code = "CONTAINER2024"
	ArgsWithoutAppCommand  Code = "CONTAINER2025"
	AppCommandWithNone     Code = "CONTAINER2026"
	EntrypointConflict     Code = "CONTAINER2028"
	InvalidImageFormat     Code = "CONTAINER2031"
)

// Codes of Gantry's own: 1xxx request, 2xxx base, 3xxx config, 4xxx layers
// and store, 5xxx destination and authentication, 6xxx graph, 9xxx internal.
const (
	UnknownField         Code = "GANTRY1001"
	DuplicateKey         Code = "GANTRY1002"
	WrongType            Code = "GANTRY1003"
	MalformedJSON        Code = "GANTRY1004"
	InvalidValue         Code = "GANTRY1005"
	RequestUnreadable    Code = "GANTRY1006"
	ResponseUnwritable   Code = "GANTRY1007"
	UnsupportedSchema    Code = "GANTRY1008"
	BadUsage             Code = "GANTRY1009"
	ControlCharacter     Code = "GANTRY1010"
	BadPercentEncoding   Code = "GANTRY1011"
	InvalidCacheKey      Code = "GANTRY1012"
	UnknownSetting       Code = "GANTRY1013"
	BadSetting           Code = "GANTRY1014"
	SettingsUnreadable   Code = "GANTRY1015"
	ZstdUnderDocker      Code = "GANTRY2001"
	InvalidBaseManifest  Code = "GANTRY2002"
	InvalidBaseConfig    Code = "GANTRY2003"
	DigestMismatch       Code = "GANTRY2004"
	BaseSource           Code = "GANTRY2005"
	NotInStore           Code = "GANTRY2006"
	InvalidEpoch         Code = "GANTRY3001"
	InvalidSetting       Code = "GANTRY3002"
	PublishFolderEmpty   Code = "GANTRY4001"
	UnreadableFile       Code = "GANTRY4002"
	FileChanged          Code = "GANTRY4003"
	SymlinkEscapes       Code = "GANTRY4004"
	CaseCollision        Code = "GANTRY4005"
	NameNotUTF8          Code = "GANTRY4006"
	UnsupportedFile      Code = "GANTRY4007"
	WhiteoutName         Code = "GANTRY4008"
	StoreUnwritable      Code = "GANTRY4009"
	StoreCorrupt         Code = "GANTRY4010"
	BlobMissing          Code = "GANTRY4011"
	SymlinkLoop          Code = "GANTRY4012"
	InvalidLayer         Code = "GANTRY4013"
	ZstdImage            Code = "GANTRY4014"
	StoreReplaced        Code = "GANTRY4015"
	PublishedCopyStale   Code = "GANTRY4016"
	PublishedFileLeft    Code = "GANTRY4017"
	InvalidLayerItem     Code = "GANTRY4018"
	LayerNotFound        Code = "GANTRY4019"
	LayerWrongSize       Code = "GANTRY4020"
	NotALayer            Code = "GANTRY4021"
	UnknownCompression   Code = "GANTRY4022"
	ForeignLayer         Code = "GANTRY4023"
	LayerMatchesNothing  Code = "GANTRY4024"
	UnsafeTar            Code = "GANTRY4025"
	LayerConflict        Code = "GANTRY4026"
	ExceptMatchesNothing Code = "GANTRY4027"
	InvalidTagList       Code = "GANTRY5001"
	DestinationDigest    Code = "GANTRY5002"
	TagRefused           Code = "GANTRY5003"
	IndexMismatch        Code = "GANTRY5004"
	AccessUnproved       Code = "GANTRY5005"
	KeyUnproved          Code = "GANTRY5006"
	TagStale             Code = "GANTRY5007"
	NoImageToRecall      Code = "GANTRY5008"
	RegistryBlocked      Code = "GANTRY5009"
	BadRegistriesConf    Code = "GANTRY5010"
	BadCertificates      Code = "GANTRY5011"
	RegistryUnfit        Code = "GANTRY5012"
	DeleteRefused        Code = "GANTRY5013"
	ArchiveUnwritable    Code = "GANTRY5014"
	InvalidArchive       Code = "GANTRY5015"
	ImageNotThere        Code = "GANTRY5016"
	FormatCannotHold     Code = "GANTRY5017"
	AlsoPushFailed       Code = "GANTRY5018"
	InvalidDockerfile    Code = "GANTRY6001"
	MissingContextFile   Code = "GANTRY6002"
	InvalidIgnoreFile    Code = "GANTRY6003"
	UnreadableContext    Code = "GANTRY6004"
	InvalidImageList     Code = "GANTRY6005"
	UnknownListKey       Code = "GANTRY6006"
	UnsupportedList      Code = "GANTRY6007"
	InvalidImage         Code = "GANTRY6008"
	GraphCycle           Code = "GANTRY6010"
	ParentMissing        Code = "GANTRY6011"
	DoubleTag            Code = "GANTRY6012"
	ParentPlatform       Code = "GANTRY6013"
	GraphDoubt           Code = "GANTRY6014"
	InvalidRecord        Code = "GANTRY6030"
	StampAbsent          Code = "GANTRY6031"
	StampOther           Code = "GANTRY6032"
	StampChanged         Code = "GANTRY6033"
	StampParentMoved     Code = "GANTRY6034"
	StampParentMissing   Code = "GANTRY6035"
	StampPlatform        Code = "GANTRY6036"
	InvalidBuilderFile   Code = "GANTRY6037"
	StampParentsDiffer   Code = "GANTRY6038"
	StampUnknown         Code = "GANTRY6039"
	RecordLost           Code = "GANTRY6040"
	NoRecord             Code = "GANTRY6041"
	GitUnusable          Code = "GANTRY6042"
	PlanTooLarge         Code = "GANTRY6050"
	BuildFailed          Code = "GANTRY6060"
	BuilderUnusable      Code = "GANTRY6061"
	ImageUnknown         Code = "GANTRY6062"
	GraphUnsound         Code = "GANTRY6063"
	TagsLeft             Code = "GANTRY6064"
	Internal             Code = "GANTRY9001"
	ToolNotRunnable      Code = "GANTRY9002"
	UnknownSDKShape      Code = "GANTRY9003"
	Interrupted          Code = "GANTRY9004"
	FolderTaken          Code = "GANTRY9005"
)

// Entry describes one code for the README.
type Entry struct {
	Code    Code
	Kind    string // "error", "warning" or "message"
	Meaning string
	Remedy  string
}

// Table lists every code that gantry or its targets raise, in order of code.
// The README's table is tested against it.
var Table = []Entry{
	{BlobUploadFailed, "error", "a blob could not be uploaded to the destination", "read the status in the message; check write access and the registry's size limits"},
	{TokenMissing, "error", "a registry's token server answered without a token", "ask the registry's administrator"},
	{RegistryPushFailed, "error", "the destination refused the push", "read the status in the message; check that the repository exists and may be written"},
	{TooManyRetries, "error", "a registry kept failing after all retries", "run again later; the message names the last failure"},
	{TokenUnreadable, "error", "the answer of a registry's token server cannot be read", "ask the registry's administrator"},
	{CredentialsUnavailable, "error", "a registry asked for credentials and none could be had", "docker login, or set DOTNET_CONTAINER_REGISTRY_UNAME and _PWORD"},
	{LocalLoadFailed, "error", "Docker or Podman did not load the image", "read the program's own words in the message"},
	{NoImageForRID, "error", "the base image has no variant for the runtime identifier", "choose one of the platforms that the message lists, or another base image"},
	{NoLocalRegistry, "error", "neither Docker nor Podman answers on this machine", "start Docker or install Podman, or set ContainerRegistry or ContainerArchiveOutputPath"},
	{ManifestPullFailed, "error", "the base image's manifest could not be read", "read the status in the message"},
	{RepositoryNotFound, "error", "the base image's repository, tag or digest does not exist", "check ContainerBaseImage for a typing error"},
	{RepositoryForbidden, "error", "the credentials may not read or write the repository", "check the account's rights in that repository"},
	{RegistryUnreachable, "error", "no connection to the registry", "check its name, DNS, proxy and firewall; plain HTTP needs DOTNET_CONTAINER_INSECURE_REGISTRIES"},
	{UnknownMediaType, "error", "the base has a layer of an unknown media type", "use a base image with tar, tar+gzip or tar+zstd layers"},
	{UnknownLocalRegistry, "error", "LocalRegistry is unknown", "use Docker or Podman, or leave it out"},
	{UnknownManifest, "error", "the base's manifest is of an unknown type", "use a Docker or OCI image, or an index of such images"},
	{LayerNotDownloadable, "error", "a layer of the base cannot be downloaded", "check that the base image can be pulled in full"},
	{InvalidRepository, "error", "the repository name cannot be used", "use lower-case letters, digits, and . _ - / between them"},
	{InvalidTag, "error", "ContainerImageTag is not a valid tag", "use at most 128 letters, digits, _ . -, and do not begin with . or -"},
	{InvalidBaseReference, "error", "the base image reference cannot be parsed", "write registry/repository:tag or registry/repository@sha256:…"},
	{InvalidTags, "error", "one of ContainerImageTags is not a valid tag", "use at most 128 letters, digits, _ . -, and do not begin with . or -"},
	{PublishFolderMissing, "error", "the publish folder does not exist", "publish first: dotnet publish -t:PublishContainer, or leave --no-build out"},
	{InvalidRegistry, "error", "the registry name cannot be used", "write host or host:port without a scheme"},
	{InvalidEnvironmentName, "warning", "an environment variable with an invalid name is ignored", "use letters, digits and _, not beginning with a digit"},
	{MissingPortNumber, "error", "a ContainerPort has no number", "write <ContainerPort Include=\"8080\" Type=\"tcp\" />"},
	{InvalidPort, "error", "a ContainerPort has an invalid number or type", "numbers from 0 to 65535, type tcp or udp"},
	{UnknownInstruction, "error", "ContainerAppCommandInstruction is unknown", "use Entrypoint, DefaultArgs or None"},
	{BaseEntrypointReplaced, "warning", "the base image's entrypoint is replaced", "set ContainerAppCommandInstruction to say which you want"},
	{ArgsWithoutEntrypoint, "error", "ContainerEntrypointArgs without ContainerEntrypoint", "set ContainerEntrypoint, or use ContainerDefaultArgs"},
	{ArgsWithoutAppCommand, "error", "ContainerAppCommandArgs without ContainerAppCommand", "set ContainerAppCommand, or use ContainerDefaultArgs"},
	{AppCommandWithNone, "error", "ContainerAppCommand or its args with instruction None", "leave the items out, or choose another instruction"},
	{EntrypointConflict, "error", "ContainerEntrypoint with instruction Entrypoint", "leave ContainerEntrypoint out, or choose another instruction"},
	{InvalidImageFormat, "error", "ContainerImageFormat is unknown", "use Docker or OCI"},
	{UnknownField, "error", "a request has a field that its stage does not know", "remove it; gantry schema STAGE lists the fields"},
	{DuplicateKey, "error", "a request has the same key twice", "keep one of them"},
	{WrongType, "error", "a field of a request has the wrong type", "see gantry schema STAGE"},
	{MalformedJSON, "error", "a request is not one JSON document", "repair it at the place that the message names"},
	{InvalidValue, "error", "a field of a request is missing or has a value that cannot be used", "see the message and gantry schema STAGE"},
	{RequestUnreadable, "error", "a request file cannot be read", "check the path"},
	{ResponseUnwritable, "error", "a response file cannot be written", "check the folder's rights and the free space"},
	{UnsupportedSchema, "error", "a document is of another schema version or stage", "use files that this version of gantry wrote"},
	{BadUsage, "error", "the command line is wrong", "gantry help shows the commands and flags"},
	{ControlCharacter, "error", "a value has a control character or is not UTF-8", "remove the character that the message names"},
	{BadPercentEncoding, "error", "a percent-encoded request has a bad escape", "write %25 for a percent sign"},
	{InvalidCacheKey, "error", "ContainerCacheKey is empty or has characters that cannot be in a tag", "use letters, digits, _ . -, or set GantryHashCacheKey=true"},
	{UnknownSetting, "error", "a gantry.toml has a key that gantry does not know", "take the name that the message suggests; gantry settings lists all"},
	{BadSetting, "error", "a setting has a value of the wrong type, or one that cannot be used", "write it as the message says; gantry settings lists all with where they come from"},
	{SettingsUnreadable, "error", "a gantry.toml cannot be read or is not TOML", "repair it at the place that the message names"},
	{ZstdUnderDocker, "error", "the base has zstd layers, which the Docker format does not know", "set ContainerImageFormat to OCI"},
	{InvalidBaseManifest, "error", "the base's manifest is not valid", "use another base image"},
	{InvalidBaseConfig, "error", "the base's configuration is not valid", "use another base image"},
	{DigestMismatch, "error", "content does not have the digest that names it", "something between you and the registry changes content; run again, then ask the registry's owner"},
	{BaseSource, "error", "ContainerBaseImageSource names a source that is no registry", "push the base image to a registry"},
	{NotInStore, "error", "GantryPullPolicy allows no request, and the content store does not have a part of the base image or of a layer that is named", "build once with GantryPullPolicy=always, or restore the store"},
	{InvalidEpoch, "error", "SOURCE_DATE_EPOCH is not a number of seconds", "use digits only, for example the commit's time"},
	{InvalidSetting, "error", "a label, variable or setting cannot be part of an image", "see the message"},
	{PublishFolderEmpty, "error", "the publish folder has no files", "publish first; an image without the app is never what was meant"},
	{UnreadableFile, "error", "a file of the publish folder cannot be read", "check its rights"},
	{FileChanged, "error", "a file changed while it was read", "let no other build write to the publish folder, and run again"},
	{SymlinkEscapes, "error", "a symbolic link leads out of the publish folder, or out of the folder of a ContainerLayer item's files", "copy the file into the folder, or name in the item what the link leads to"},
	{CaseCollision, "error", "two paths differ in case only", "rename one of them"},
	{NameNotUTF8, "error", "a file name is not UTF-8", "rename the file"},
	{UnsupportedFile, "error", "a file is neither a file, a folder nor a link", "remove the device, pipe or socket"},
	{WhiteoutName, "error", "a file name begins with .wh., which layers use for deletions", "rename the file"},
	{StoreUnwritable, "error", "the content store cannot be written", "free some space, or set GantryCacheDir to another folder"},
	{StoreCorrupt, "error", "a blob in the content store is damaged", "run again: the blob is made or fetched anew"},
	{BlobMissing, "error", "a blob that the push needs is no longer in the content store", "run again: the blob is made or fetched anew"},
	{SymlinkLoop, "error", "a symbolic link leads to a folder that it is in, or to nothing", "delete the link"},
	{InvalidLayer, "error", "a GantryLayer item cannot be used", "see the message: each has a name of its own and at least one glob in Files"},
	{ZstdImage, "error", "GantryCompression=zstd with the Docker image format, which does not know it", "set ContainerImageFormat to OCI, or GantryCompression to gzip"},
	{StoreReplaced, "message", "the content store cannot be written: this build uses a folder for temporary files in its place", "free some space, or set GantryCacheDir to another folder"},
	{PublishedCopyStale, "message", "a file of the publish folder was not what its source is now, as the SDK copies only what is newer: it was replaced", "nothing; name files that your build changes after they are published in GantryTransformedFiles"},
	{PublishedFileLeft, "message", "a file of the publish folder was left there by an earlier publish and nothing publishes it now: it is not in the image", "delete the publish folder; a file that your own target writes is kept when it is written in each publish"},
	{InvalidLayerItem, "error", "a ContainerLayer item, or --layer, has metadata that is missing, means nothing for its Type, or has a value that cannot be used", "see the message, which says what can be"},
	{LayerNotFound, "error", "the repository that a ContainerLayer item names does not have the layer", "check digest, Repository and Registry; the account must be able to read there"},
	{LayerWrongSize, "error", "a layer has another size than was said of it", "check Size and Reference of the ContainerLayer item"},
	{NotALayer, "error", "what a ContainerLayer item names is no layer: a manifest, a configuration, or no tar", "name the digest of a layer, as the manifest lists it"},
	{UnknownCompression, "error", "a layer is compressed with something that is neither gzip nor zstd", "compress it with gzip or zstd, or not at all"},
	{ForeignLayer, "error", "a layer lies at addresses of its own (urls), which are not followed", "copy the image to a registry that stores such layers, and name it there"},
	{LayerMatchesNothing, "error", "a glob of a ContainerLayer item matches no file", "check Files and Except, which are relative to the project's folder"},
	{UnsafeTar, "error", "a tarball has an entry that a layer must not have: an absolute path, .. or a device", "make the tarball of a folder, with relative paths"},
	{LayerConflict, "message", "two layers put different content at one path: the upper one's counts; an error with GantryStrict=true", "leave the file out of one of them with Except"},
	{ExceptMatchesNothing, "message", "a glob in Except of a ContainerLayer item leaves out no file of the item", "correct or remove it: relative globs begin in the project's folder, case counts, and folder/** is a folder"},
	{InvalidTagList, "error", "no tag, or the same tag twice, for the destination", "name each tag once"},
	{DestinationDigest, "error", "the destination stored other content than was sent", "something between you and the registry changes content; the message names both digests"},
	{TagRefused, "error", "the destination refused to move a tag", "the tag is immutable: use a new tag"},
	{IndexMismatch, "error", "images that cannot be in one index", "use one image format for all platforms"},
	{AccessUnproved, "message", "the registry did not let the account see whether the image is there (401 or 403), or gave no usable answer: it counts as absent for this run", "check the account's rights to read the repository"},
	{KeyUnproved, "message", "GANTRY_KEY_SECRET is set, and the image of the cache key has no record that was made with it: the image is built again", "nothing, when the secret is new or was changed; else find out who wrote the key's tag"},
	{TagStale, "message", "a tag that was written still names another image when it is read back", "look at the tag again later; some registries answer with the old image for a while, or another publish wrote it"},
	{NoImageToRecall, "message", "no earlier image was found whose layers could be taken over: all are made", "set GantryCacheFrom to a reference that has one, or GantryCacheTag to a tag that each push moves"},
	{RegistryBlocked, "error", "registries.conf blocks the registry or repository", "use another one, or remove blocked from the file that the message names"},
	{BadRegistriesConf, "error", "registries.conf, or a file of registries.conf.d, cannot be used", "repair it at the place that the message names, or set CONTAINERS_REGISTRIES_CONF to another file"},
	{BadCertificates, "error", "a folder of certs.d has certificates that cannot be used", "repair the file that the message names: NAME.crt are authorities, NAME.cert and NAME.key belong together"},
	{RegistryUnfit, "error", "gantry registry doctor found that a publish would fail", "read what it printed for the probe that failed"},
	{DeleteRefused, "error", "the registry does not let gantry registry prune delete", "allow deletes in the registry's configuration, or use its own retention rules for the tags content-* and src-*"},
	{ArchiveUnwritable, "error", "an image archive or layout folder cannot be written", "check the folder's rights and the free space"},
	{InvalidArchive, "error", "an image archive or layout folder that is read is not valid", "make it anew; the message says what is wrong with it"},
	{ImageNotThere, "error", "an archive, layout, Docker or Podman does not have the image, or not for that platform, or has several and none was named", "name one of those that the message lists"},
	{FormatCannotHold, "error", "the destination's format cannot hold the image: several platforms or zstd layers in a Docker archive, an index in Docker without the containerd image store", "use an OCI archive or layout, or name one platform"},
	{AlsoPushFailed, "error", "a destination of GantryAlsoPushTo did not get the image; the message says which, and the others have it", "read the reason in the message"},
	{InvalidDockerfile, "error", "a Dockerfile cannot be read, or BuildKit would refuse it", "repair it at the line that the message names"},
	{MissingContextFile, "error", "a file that a Dockerfile copies is not in its build context", "see the message; the file may be missing, or .dockerignore leaves it out"},
	{InvalidIgnoreFile, "error", "a .dockerignore file cannot be read or has a pattern that means nothing", "repair it at the line that the message names"},
	{UnreadableContext, "error", "a file of a build context cannot be read", "check its rights, and let no other build write to it"},
	{InvalidImageList, "error", "a list of images cannot be read, or a value in it is wrong", "repair it at the line or key that the message names"},
	{UnknownListKey, "error", "gantry.graph.toml has a key that is not known, or one that belongs to gantry.toml", "see the message, which names the nearest key"},
	{UnsupportedList, "error", "a list of images uses what Gantry does not read, such as extends in a Compose file or a bake file that was not printed", "see the message"},
	{InvalidImage, "error", "an image of the list cannot be built as it stands: its name, tag or platform is none, its context is not there, or an argument has no value", "repair the list at the place that the message names"},
	{GraphCycle, "error", "images of the graph need each other", "break the cycle that the message names"},
	{ParentMissing, "error", "an image that a Dockerfile names is neither made by the graph nor in its registry", "check the name for a typing error, or add the image to the list"},
	{DoubleTag, "error", "two images of the graph have the same name or tag", "give each its own"},
	{ParentPlatform, "error", "an image that a Dockerfile names is not there for the platform that it is wanted for", "build it for that platform too, or name another image"},
	{GraphDoubt, "warning", "a likely slip in a list of images: a variable of a Compose file that is not set, and for gantry graph verify a build argument that no Dockerfile declares, a tag of an own repository that no image has, an image without a tag", "see the message; it keeps nothing from being built"},
	{InvalidRecord, "error", "the record of what an image was built from cannot be read", "build and stamp the image again"},
	{StampAbsent, "error", "an image to be stamped is not in the registry by the digest that was given", "push it first, to the repository that the message names"},
	{StampOther, "error", "the builder's metadata file or image ID names another image than the one to be stamped", "give the digest and the file of one build"},
	{StampChanged, "error", "what an image is built from changed since its hash was computed", "plan and build again"},
	{StampParentMoved, "error", "a parent's tag answers another digest than the one that the builder used: the image was built before its parent, or the parent moved meanwhile", "build the image again"},
	{StampParentMissing, "error", "a parent of the image to be stamped is not in the registry, or is not stamped itself", "build and stamp the parent first, then build the image again"},
	{StampPlatform, "error", "the image to be stamped is not for the platforms of its list", "build it for all of them, and push them as one index"},
	{InvalidBuilderFile, "error", "what the builder left behind cannot be read, or does not say which parents it used", "see the message; docker buildx writes them with --metadata-file and BUILDX_METADATA_PROVENANCE=max"},
	{StampParentsDiffer, "error", "the builder read other images than the Dockerfile reaches", "plan and build again; if it stays, please report it with the Dockerfile"},
	{StampUnknown, "error", "an image whose source hash cannot be known cannot be stamped", "see the reasons that the plan gives"},
	{RecordLost, "error", "the record of an image was written and others kept overwriting the list that has to name it", "run again"},
	{NoRecord, "error", "an image has no record of what it was built from", "build and stamp it with gantry graph"},
	{GitUnusable, "message", "git cannot say what changed since the revision: every image is judged by its hash alone", "fetch the whole history, or check the revision's name"},
	{PlanTooLarge, "error", "a plan is larger than what a CI service takes for one matrix, output or pipeline", "leave the details of the jobs out (--brief), or plan a part at a time (--max-jobs)"},
	{BuildFailed, "error", "the builder of gantry graph run failed for one or more images", "see what it printed; the next run goes on with these"},
	{BuilderUnusable, "error", "the builder of gantry graph run cannot be started, or cannot do what the list says", "see the message"},
	{ImageUnknown, "error", "a command names an image that the list does not have", "see the message, which names the nearest one"},
	{GraphUnsound, "error", "gantry graph verify found images that cannot be built as they stand", "see what it printed"},
	{TagsLeft, "error", "gantry graph tag left tags as they were, as an image of the list is not built", "build it with gantry graph run"},
	{Internal, "error", "a fault in gantry", "please report it with the message"},
	{ToolNotRunnable, "error", "there is no gantry binary that runs on this machine", "set GantryToolPath to one that does"},
	{UnknownSDKShape, "error", "this .NET SDK's container targets are not as Gantry knows them", "use a newer Gantry.Containers, or set GantryEnabled=false"},
	{Interrupted, "error", "interrupted", "run again: nothing was left half done"},
	{FolderTaken, "error", "two publishes of one project ran at once in one folder of intermediate files, and the later one overwrote what this one was about to push", "publish one after the other, or give each an IntermediateOutputPath and a PublishDir of its own"},
}
