# Sourced by the targets' Exec: defines the function gantry, which runs the
# binary $GANTRY_EXE with the given arguments.
#
# A binary that this user may not execute where it lies (NuGet extracts files
# as rwxr--r--, so another user's package folder is one; a noexec mount is
# another) is copied into the working directory, under the project's obj, and
# run there.
gantry() {
  if [ -x "$GANTRY_EXE" ]; then
    "$GANTRY_EXE" "$@"
    return
  fi
  if ! cmp -s "$GANTRY_EXE" gantry.copy; then
    cp "$GANTRY_EXE" "gantry.copy.$$" && chmod 0755 "gantry.copy.$$" && mv -f "gantry.copy.$$" gantry.copy || return 126
  fi
  ./gantry.copy "$@"
}
