// `sideEffects: false` speaks of whole files. This Babel plugin says the same of each declaration in them where a bundler
// cannot see it: a spread, a computed key or a field that is read might run anything.

const runsLater = (node) => /Function|^ClassMethod|^ClassPrivateMethod/.test(node.type)

const isUnclear = (path) => {
  const isNamespace = ({ name, type }) =>
    type === "Identifier" && path.scope.getBinding(name)?.path.isImportNamespaceSpecifier() === true
  const look = (node, parent) => {
    if (Array.isArray(node)) return node.some((each) => look(each, parent))
    if (typeof node?.type !== "string") return false
    if (node.type === "SpreadElement" || node.type === "TemplateLiteral") return true
    if (node.computed === true && /Property|Method/.test(node.type)) return true
    // What is called is another plugin's business.
    if (node.type === "MemberExpression" && parent?.callee !== node && !isNamespace(node.object)) return true
    return !runsLater(node) && Object.values(node).some((child) => look(child, node))
  }
  return look(path.node, undefined)
}

export const pureDeclarations = ({ types: t }) => {
  const pure = (value) =>
    t.addComment(t.callExpression(t.arrowFunctionExpression([], value), []), "leading", "#__PURE__")
  return {
    visitor: {
      Program(program) {
        for (const statement of program.get("body")) {
          const declaration = statement.isExportNamedDeclaration() ? statement.get("declaration") : statement
          if (declaration.isClassDeclaration() && isUnclear(declaration)) {
            const { body, id, superClass } = declaration.node
            const value = pure(t.classExpression(t.cloneNode(id), superClass, body))
            declaration.replaceWith(t.variableDeclaration("const", [t.variableDeclarator(t.cloneNode(id), value)]))
          } else if (declaration.isVariableDeclaration()) {
            for (const init of declaration.get("declarations").map((declarator) => declarator.get("init"))) {
              if (init.node !== null && !init.isFunction() && isUnclear(init)) init.replaceWith(pure(init.node))
            }
          }
        }
      }
    }
  }
}
