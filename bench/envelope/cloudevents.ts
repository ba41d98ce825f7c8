import { variant } from "./variant.ts"

export default variant({ envelope: "cloudevents", isTraced: false })
