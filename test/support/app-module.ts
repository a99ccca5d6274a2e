import { Module, type DynamicModule, type Provider, type Type } from '@nestjs/common';

@Module({})
class AppModule {}

/** Controllers and what they need, as a module. */
export function moduleOf(controllers: Type[], providers: Provider[] = []): DynamicModule {
  return { module: AppModule, controllers, providers };
}
