package imagelist

import _ "embed"

// Schema is the JSON schema of gantry.graph.toml, which editors take for a TOML file too.
//
//go:embed gantry.graph.schema.json
var Schema []byte
