import { OptionDefaults } from "typedoc";

export default {
  entryPoints: ["src/node.ts", "src/web.ts", "src/v1.ts"],
  out: "docs",
  name: "runwire",
  readme: "README.md",
  tsconfig: "tsconfig.build.json",
  excludePrivate: true,
  excludeInternal: true,
  blockTags: [...OptionDefaults.blockTags, "@generated"],
  excludeTags: ["@generated"],
  // Not asked of git: a checkout may have another remote, or none.
  disableGit: true,
  sourceLinkTemplate:
    "https://github.com/runwire/runwire/blob/main/client/typescript/src/{path}#L{line}",
  treatWarningsAsErrors: true,
  logLevel: "Warn",
};
